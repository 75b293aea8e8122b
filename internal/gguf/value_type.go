package gguf

import (
	"fmt"
	"reflect"
)

// valueType is the number of a metadata type in the file.
type valueType uint32

const (
	typeUint32 valueType = 4
	typeBool   valueType = 7
	typeString valueType = 8
	typeArray  valueType = 9
)

// goTypes holds the Go type of every fixed-size value type, read only; string
// and array have none.
var goTypes = [...]reflect.Type{
	0:          reflect.TypeFor[uint8](),
	1:          reflect.TypeFor[int8](),
	2:          reflect.TypeFor[uint16](),
	3:          reflect.TypeFor[int16](),
	typeUint32: reflect.TypeFor[uint32](),
	5:          reflect.TypeFor[int32](),
	6:          reflect.TypeFor[float32](),
	typeBool:   reflect.TypeFor[bool](),
	typeString: nil,
	typeArray:  nil,
	10:         reflect.TypeFor[uint64](),
	11:         reflect.TypeFor[int64](),
	12:         reflect.TypeFor[float64](),
}

const (
	// stringBytes and arrayBytes are the sizes of an empty string and array.
	stringBytes = 8
	arrayBytes  = 4 + 8
	// maxNesting bounds arrays of arrays, which no known model uses.
	maxNesting = 4
)

// minBytes returns the least that a value of the type takes in a file.
func (t valueType) minBytes() (uint64, error) {
	switch {
	case t == typeString:
		return stringBytes, nil
	case t == typeArray:
		return arrayBytes, nil
	case int64(t) < int64(len(goTypes)):
		return uint64(goTypes[t].Size()), nil
	}
	return 0, fmt.Errorf("unknown value type %d", t)
}

// fixedType returns the value type of a fixed-size Go type.
func fixedType(t reflect.Type) (valueType, bool) {
	for i, candidate := range goTypes {
		if candidate != nil && candidate == t {
			return valueType(i), true
		}
	}
	return 0, false
}
