package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Dict is a Python dict: keys in the order they were first set.
type Dict struct {
	keys  []Value
	vals  []Value
	index map[any]int
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{index: map[any]int{}} }

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// Set sets the value of a string key, keeping the place of a key that is there.
func (d *Dict) Set(key string, v Value) { d.put("s"+key, key, v) }

// Get returns the value of a string key.
func (d *Dict) Get(key string) (Value, bool) {
	if i, ok := d.index["s"+key]; ok {
		return d.vals[i], true
	}
	return nil, false
}

func (d *Dict) put(hash any, key, v Value) {
	if i, ok := d.index[hash]; ok {
		d.vals[i] = v
		return
	}
	d.index[hash] = len(d.keys)
	d.keys, d.vals = append(d.keys, key), append(d.vals, v)
}

func (d *Dict) set(key, v Value) error {
	h, err := hashOf(key, 0)
	if err == nil {
		d.put(h, key, v)
	}
	return err
}

func (d *Dict) get(key Value) (Value, bool, error) {
	h, err := hashOf(key, 0)
	if err != nil {
		return nil, false, err
	}
	if i, ok := d.index[h]; ok {
		return d.vals[i], true, nil
	}
	return nil, false, nil
}

// clone copies the dict, not its values.
func (d *Dict) clone() *Dict {
	c := NewDict()
	for i, k := range d.keys {
		h, err := hashOf(k, 0)
		if err == nil {
			c.put(h, k, d.vals[i])
		}
	}
	return c
}

// pairs are the items as tuples.
func (d *Dict) pairs() []Value {
	out := make([]Value, len(d.keys))
	for i, k := range d.keys {
		out[i] = &Tuple{Items: []Value{k, d.vals[i]}}
	}
	return out
}

type noneKey struct{}

// hashOf maps values that Python holds equal (1, 1.0, True) to one comparable.
func hashOf(v Value, depth int) (any, error) {
	switch v := v.(type) {
	case nil:
		return noneKey{}, nil
	case string:
		return "s" + v, nil
	case markup:
		return "s" + string(v), nil
	case *big.Int:
		return "i" + v.Text(36), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v), nil
		}
		return v, nil
	case *Tuple:
		return hashTuple(v, depth)
	case *List, *Dict, *view:
		return nil, raise("TypeError", "unhashable type: '%s'", typeName(v))
	}
	if i, ok := asInt(v); ok {
		return i, nil
	}
	return v, nil
}

func hashTuple(t *Tuple, depth int) (any, error) {
	if depth > 50 || len(t.Items) > 1000 {
		return nil, raise("TypeError", "tuple is too large for a dict key")
	}
	var b strings.Builder
	b.WriteString("t")
	for _, x := range t.Items {
		h, err := hashOf(x, depth+1)
		if err != nil {
			return nil, err
		}
		var s string
		switch h := h.(type) {
		case string:
			s = h
		case int64:
			s = "n" + strconv.FormatInt(h, 10)
		case float64:
			s = "f" + strconv.FormatFloat(h, 'g', -1, 64)
		case noneKey:
			s = "0"
		default:
			return nil, raise("TypeError", "unhashable type: '%s'", typeName(x))
		}
		if b.Len()+len(s) > 1<<16 {
			return nil, raise("TypeError", "tuple is too large for a dict key")
		}
		b.WriteString(strconv.Itoa(len(s)) + ":" + s)
	}
	return b.String(), nil
}

// Each calls f with every string key and its value, in order.
func (d *Dict) Each(f func(key string, v Value)) {
	for i, k := range d.keys {
		if s, ok := k.(string); ok {
			f(s, d.vals[i])
		}
	}
}
