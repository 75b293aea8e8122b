package gguf

import (
	"encoding/binary"
	"fmt"
	"reflect"
)

// appendValue appends the type of v and v.
func appendValue(b []byte, v any) ([]byte, error) {
	if s, ok := v.(string); ok {
		return appendString(appendType(b, typeString), s), nil
	}
	if t, ok := fixedType(reflect.TypeOf(v)); ok {
		return binary.Append(appendType(b, t), binary.LittleEndian, v)
	}
	return appendArray(appendType(b, typeArray), v, 0)
}

// appendArray appends the element type, the count and the elements of v.
func appendArray(b []byte, v any, depth int) ([]byte, error) {
	if depth == maxNesting {
		return nil, fmt.Errorf("arrays nested more than %d deep", maxNesting)
	}
	switch v := v.(type) {
	case []string:
		b = appendCount(appendType(b, typeString), len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
		return b, nil
	case []any:
		b = appendCount(appendType(b, typeArray), len(v))
		for i, array := range v {
			var err error
			if b, err = appendArray(b, array, depth+1); err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
		}
		return b, nil
	}
	slice := reflect.ValueOf(v)
	if slice.Kind() != reflect.Slice {
		return nil, fmt.Errorf("no metadata type for a Go %T", v)
	}
	t, ok := fixedType(slice.Type().Elem())
	if !ok {
		return nil, fmt.Errorf("no metadata type for a Go %T", v)
	}
	return binary.Append(appendCount(appendType(b, t), slice.Len()), binary.LittleEndian, v)
}

func appendType(b []byte, t valueType) []byte {
	return binary.LittleEndian.AppendUint32(b, uint32(t))
}

func appendCount(b []byte, n int) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(n))
}

func appendString(b []byte, s string) []byte {
	return append(appendCount(b, len(s)), s...)
}
