package jinja

import (
	"math"
	"math/big"
	"strings"
)

func (r *run) compare(op string, x, y Value) (bool, error) {
	switch op {
	case "==":
		return r.equal(x, y)
	case "!=":
		same, err := r.equal(x, y)
		return !same, err
	case "in":
		return r.contains(y, x)
	case "not in":
		found, err := r.contains(y, x)
		return !found, err
	}
	for _, v := range []Value{x, y} {
		if u, ok := v.(*undefined); ok {
			return false, raise("UndefinedError", "%s", u.msg)
		}
	}
	c, err := r.order(op, x, y)
	if err != nil || c == unordered {
		return false, err
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// unordered is what order says of NaN: no comparison with it holds.
const unordered = 2

// order compares as Python's < does: -1, 0, 1 or unordered.
func (r *run) order(op string, x, y Value) (int, error) {
	if isNumber(x) && isNumber(y) {
		return orderNumbers(x, y), nil
	}
	a, okX := asString(x)
	b, okY := asString(y)
	if okX && okY {
		return strings.Compare(a, b), r.charge(min(len(a), len(b))/16 + 1)
	}
	p, q := sequence(x), sequence(y)
	if p == nil || q == nil || typeName(x) != typeName(y) {
		return 0, raise("TypeError", "'%s' not supported between instances of '%s' and '%s'", op, typeName(x), typeName(y))
	}
	for i := range min(len(*p), len(*q)) {
		same, err := r.equal((*p)[i], (*q)[i])
		if err != nil {
			return 0, err
		}
		if !same {
			return r.orderInner(op, (*p)[i], (*q)[i])
		}
	}
	return orderInts(len(*p), len(*q)), nil
}

func (r *run) orderInner(op string, x, y Value) (int, error) {
	defer r.leave()
	if err := r.enter(); err != nil {
		return 0, err
	}
	return r.order(op, x, y)
}

func orderInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func sequence(v Value) *[]Value {
	switch s := v.(type) {
	case *List:
		return &s.Items
	case *Tuple:
		return &s.Items
	}
	return nil
}

// orderNumbers compares exactly, also an int that no float holds.
func orderNumbers(x, y Value) int {
	a, okX := asBig(x)
	b, okY := asBig(y)
	if okX && okY {
		return a.Cmp(b)
	}
	f, _ := asFloat(x)
	g, _ := asFloat(y)
	switch {
	case math.IsNaN(f) || math.IsNaN(g):
		return unordered
	case okX && !math.IsInf(g, 0):
		return new(big.Rat).SetInt(a).Cmp(new(big.Rat).SetFloat64(g))
	case okY && !math.IsInf(f, 0):
		return new(big.Rat).SetFloat64(f).Cmp(new(big.Rat).SetInt(b))
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

// equal is Python's ==.
func (r *run) equal(x, y Value) (bool, error) {
	defer r.leave()
	if err := r.enter(); err != nil {
		return false, err
	}
	if isNumber(x) && isNumber(y) {
		return orderNumbers(x, y) == 0, nil
	}
	if a, ok := asString(x); ok {
		b, ok := asString(y)
		return ok && a == b, r.charge(min(len(a), len(b)) / 16)
	}
	switch a := x.(type) {
	case *List:
		if b, ok := y.(*List); ok {
			return r.equalItems(a.Items, b.Items)
		}
		return false, nil
	case *Tuple:
		if b, ok := y.(*Tuple); ok {
			return r.equalItems(a.Items, b.Items)
		}
		return false, nil
	case *Dict:
		if b, ok := y.(*Dict); ok {
			return r.equalDicts(a, b)
		}
		return false, nil
	case *rangeValue:
		b, ok := y.(*rangeValue)
		return ok && a.n == b.n && (a.n == 0 || a.start == b.start && (a.n == 1 || a.step == b.step)), nil
	case *undefined:
		_, ok := y.(*undefined)
		return ok, nil
	case *view:
		b, ok := y.(*view)
		if !ok || a.kind != b.kind || a.kind == "dict_values" {
			return a == y, nil
		}
		return r.equalSets(a.items, b.items)
	}
	return x == y, nil
}

// equalSets compares dict views, whose order does not count.
func (r *run) equalSets(a, b []Value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for _, v := range a {
		if found, err := r.contains(&List{b}, v); err != nil || !found {
			return false, err
		}
	}
	return true, nil
}

func (r *run) equalItems(a, b []Value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if same, err := r.equal(a[i], b[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func (r *run) equalDicts(a, b *Dict) (bool, error) {
	if a.Len() != b.Len() {
		return false, nil
	}
	for i, k := range a.keys {
		v, ok, err := b.get(k)
		if err != nil || !ok {
			return false, err
		}
		if same, err := r.equal(a.vals[i], v); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// contains is "v in box".
func (r *run) contains(box, v Value) (bool, error) {
	if s, ok := asString(box); ok {
		sub, ok := asString(v)
		if !ok {
			return false, raise("TypeError", "'in <string>' requires string as left operand, not %s", typeName(v))
		}
		return strings.Contains(s, sub), r.charge(len(s)/16 + 1)
	}
	if d, ok := box.(*Dict); ok {
		_, found, err := d.get(v)
		return found, err
	}
	next, _, err := r.iterate(box)
	if err != nil {
		return false, raise("TypeError", "argument of type '%s' is not iterable", typeName(box))
	}
	for {
		x, ok, err := next()
		if err != nil || !ok {
			return false, err
		}
		if same, err := r.equal(x, v); err != nil || same {
			return same, err
		}
	}
}
