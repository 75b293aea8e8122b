package gguf

import (
	"fmt"
	"math"
)

// KV is one entry of the metadata. Value is a Value or, for an array of
// arrays, a []any whose elements are arrays.
type KV struct {
	Key   string
	Value any
}

// Value is what metadata can hold, arrays of arrays apart.
type Value interface {
	number | bool | string |
		[]uint8 | []int8 | []uint16 | []int16 | []uint32 | []int32 | []uint64 | []int64 |
		[]float32 | []float64 | []bool | []string
}

type number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64
}

// Metadata is the metadata of a file, in its order. No key occurs twice.
type Metadata []KV

// Get returns the value of key and whether it is there. A value of any other
// type than T is an error that names the key and both types. Slices are shared
// with m and must not be changed.
func Get[T Value](m Metadata, key string) (value T, ok bool, err error) {
	held, ok := m.lookup(key)
	if !ok {
		return value, false, nil
	}
	typed, ok := held.(T)
	if !ok {
		return value, false, typeError(key, held, fmt.Sprintf("%T", value))
	}
	return typed, true, nil
}

// Int is Get for a whole number, which writers store in any of the integer
// types. One past the range of int64 is an error.
func (m Metadata) Int(key string) (n int64, ok bool, err error) {
	held, ok := m.lookup(key)
	if !ok {
		return 0, false, nil
	}
	switch v := held.(type) {
	case uint8:
		n = int64(v)
	case int8:
		n = int64(v)
	case uint16:
		n = int64(v)
	case int16:
		n = int64(v)
	case uint32:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	case uint64:
		if v > math.MaxInt64 {
			return 0, false, fmt.Errorf("metadata %s: %d is out of range", key, v)
		}
		n = int64(v)
	default:
		return 0, false, typeError(key, held, "an integer")
	}
	return n, true, nil
}

func (m Metadata) lookup(key string) (any, bool) {
	for _, kv := range m {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return nil, false
}

func typeError(key string, held any, want string) error {
	return fmt.Errorf("metadata %s: is %T, want %s", key, held, want)
}
