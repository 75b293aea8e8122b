package jinja

import "math"

// bound reads one of a slice's three parts.
func (r *run) bound(x expr, s *scope) (*int64, error) {
	if x == nil {
		return nil, nil
	}
	v, err := r.eval(x, s)
	if err != nil || v == nil {
		return nil, err
	}
	if b, ok := asBig(v); ok {
		// What is beyond any length cuts the same.
		n := int64(math.MaxInt32) * int64(b.Sign())
		if b.IsInt64() {
			n = min(max(b.Int64(), -math.MaxInt32), math.MaxInt32)
		}
		return &n, nil
	}
	return nil, raise("TypeError", "slice indices must be integers or None or have an __index__ method")
}

// cut is v[start:stop:step].
func (n *slice) cut(r *run, s *scope, v Value) (Value, error) {
	start, err := r.bound(n.start, s)
	if err != nil {
		return nil, err
	}
	stop, err := r.bound(n.stop, s)
	if err != nil {
		return nil, err
	}
	step, err := r.bound(n.step, s)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(*undefined); ok {
		return nil, raise("UndefinedError", "%s", u.msg)
	}
	switch v.(type) {
	case string, markup, *List, *Tuple, *rangeValue:
	default: // Jinja turns the TypeError into an undefined
		return &undefined{describe(v) + " has no element slice"}, nil
	}
	if step != nil && *step == 0 {
		return nil, raise("ValueError", "slice step cannot be zero")
	}
	size, err := length(v)
	if err != nil {
		return nil, err
	}
	from, count, by := sliceRange(start, stop, step, int64(size))
	return r.pick(v, from, count, by)
}

// sliceRange resolves a slice of n items: the first index, how many, and the step.
func sliceRange(start, stop, step *int64, n int64) (from, count, by int64) {
	by = 1
	if step != nil {
		by = *step
	}
	low, high := int64(0), n
	from, to := low, high
	if by < 0 {
		low, high = -1, n-1
		from, to = high, low
	}
	clamp := func(p *int64, unset int64) int64 {
		if p == nil {
			return unset
		}
		i := *p
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	from, to = clamp(start, from), clamp(stop, to)
	if by > 0 && from < to {
		count = (to-from-1)/by + 1
	}
	if by < 0 && from > to {
		count = (from-to-1)/-by + 1
	}
	return from, count, by
}

func (r *run) pick(v Value, from, count, by int64) (Value, error) {
	if err := r.charge(int(count)/16 + 1); err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case *List:
		return &List{every(x.Items, from, count, by)}, nil
	case *Tuple:
		return &Tuple{Items: every(x.Items, from, count, by)}, nil
	case *rangeValue:
		return &rangeValue{x.start + from*x.step, x.start + (from+count*by)*x.step, x.step * by, count}, nil
	}
	s, _ := asString(v)
	if err := r.text(len(s)); err != nil {
		return nil, err
	}
	var out string
	if by == 1 {
		start := runeOffset(s, int(from))
		out = s[start : start+runeOffset(s[start:], int(count))]
	} else {
		out = string(every([]rune(s), from, count, by))
	}
	if _, safe := v.(markup); safe {
		return markup(out), nil
	}
	return out, nil
}

func every[T any](items []T, from, count, by int64) []T {
	out := make([]T, count)
	for i := range out {
		out[i] = items[from+int64(i)*by]
	}
	return out
}
