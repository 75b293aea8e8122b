package gguf

import (
	"encoding/binary"
	"fmt"
	"reflect"
)

// cursor walks the front of a file. Everything it allocates is bounded by the
// bytes that are left.
type cursor struct {
	file []byte
	pos  int
}

func (c *cursor) left() uint64 { return uint64(len(c.file) - c.pos) }

// take returns the next n bytes.
func (c *cursor) take(n uint64) ([]byte, error) {
	if n > c.left() {
		return nil, fmt.Errorf("%d bytes needed at byte %d, file has %d in all: truncated or damaged", n, c.pos, len(c.file))
	}
	b := c.file[c.pos : c.pos+int(n)]
	c.pos += int(n)
	return b, nil
}

func (c *cursor) uint32() (uint32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) uint64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads how many things follow that take at least size bytes each.
func (c *cursor) count(size uint64) (int, error) {
	n, err := c.uint64()
	if err != nil {
		return 0, err
	}
	return int(n), c.checkCount(n, size)
}

func (c *cursor) checkCount(n, size uint64) error {
	if n > c.left()/size {
		return fmt.Errorf("count of %d needs more than the %d bytes left of %d: truncated or damaged", n, c.left(), len(c.file))
	}
	return nil
}

func (c *cursor) string() (string, error) {
	n, err := c.uint64()
	if err != nil {
		return "", err
	}
	b, err := c.take(n)
	return string(b), err
}

// value reads a value, which starts with its type.
func (c *cursor) value() (any, error) {
	n, err := c.uint32()
	if err != nil {
		return nil, err
	}
	switch t := valueType(n); t {
	case typeString:
		return c.string()
	case typeArray:
		return c.array(0)
	default:
		one, err := c.fixed(t, 1)
		if err != nil {
			return nil, err
		}
		return one.Index(0).Interface(), nil
	}
}

// array reads an array, which starts with the type and number of its elements.
func (c *cursor) array(depth int) (any, error) {
	if depth == maxNesting {
		return nil, fmt.Errorf("arrays nested more than %d deep", maxNesting)
	}
	element, err := c.uint32()
	if err != nil {
		return nil, err
	}
	t := valueType(element)
	size, err := t.minBytes()
	if err != nil {
		return nil, err
	}
	n, err := c.count(size)
	if err != nil {
		return nil, err
	}
	switch t {
	case typeString:
		return elements(n, c.string)
	case typeArray:
		return elements(n, func() (any, error) { return c.array(depth + 1) })
	}
	all, err := c.fixed(t, n)
	if err != nil {
		return nil, err
	}
	return all.Interface(), nil
}

func elements[T any](n int, read func() (T, error)) ([]T, error) {
	all := make([]T, n)
	for i := range all {
		var err error
		if all[i], err = read(); err != nil {
			return nil, fmt.Errorf("element %d of %d: %w", i, n, err)
		}
	}
	return all, nil
}

// fixed reads n values of a fixed-size type as a slice of its Go type.
func (c *cursor) fixed(t valueType, n int) (reflect.Value, error) {
	size, err := t.minBytes()
	if err != nil {
		return reflect.Value{}, err
	}
	if err := c.checkCount(uint64(n), size); err != nil {
		return reflect.Value{}, err
	}
	b, err := c.take(uint64(n) * size)
	if err != nil {
		return reflect.Value{}, err
	}
	if t == typeBool {
		for i, v := range b {
			if v > 1 {
				return reflect.Value{}, fmt.Errorf("element %d: %d is not a bool", i, v)
			}
		}
	}
	all := reflect.MakeSlice(reflect.SliceOf(goTypes[t]), n, n)
	if _, err := binary.Decode(b, binary.LittleEndian, all.Interface()); err != nil {
		return reflect.Value{}, err
	}
	return all, nil
}
