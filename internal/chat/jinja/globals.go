package jinja

import (
	"math/big"
	"slices"
)

// cycler is what cycler(...) makes.
type cycler struct {
	items []Value
	pos   int
}

func (c *cycler) attr(id string) (Value, bool) {
	switch id {
	case "current":
		return c.items[c.pos], true
	case "next":
		return &function{"next", func(_ *run, a *arguments) (Value, error) {
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v, a.none("next")
		}}, true
	case "reset":
		return &function{"reset", func(_ *run, a *arguments) (Value, error) {
			c.pos = 0
			return nil, a.none("reset")
		}}, true
	}
	return nil, false
}

// globals are the functions every template has; variables may hide them.
func (r *run) globals() map[string]Value {
	out := map[string]Value{}
	for id, f := range map[string]func(*run, *arguments) (Value, error){
		"range": makeRange, "dict": makeDict, "namespace": makeNamespace, "raise_exception": raiseException,
		"strftime_now": strftimeNow, "cycler": makeCycler, "joiner": makeJoiner,
	} {
		out[id] = &function{id, f}
	}
	return out
}

func makeRange(_ *run, a *arguments) (Value, error) {
	if len(a.names) > 0 {
		return nil, raise("TypeError", "range() takes no keyword arguments")
	}
	p := []int64{0, 0, 1}
	for i, v := range a.pos {
		n, ok := asInt(v)
		if _, big := v.(*big.Int); big || ok && (n > 1<<40 || n < -1<<40) {
			return nil, raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
		}
		if !ok {
			return nil, raise("TypeError", "'%s' object cannot be interpreted as an integer", typeName(v))
		}
		switch {
		case i > 2:
			return nil, raise("TypeError", "range expected at most 3 arguments, got %d", len(a.pos))
		case len(a.pos) == 1:
			p[1] = n
		default:
			p[i] = n
		}
	}
	if len(a.pos) == 0 {
		return nil, raise("TypeError", "range expected at least 1 argument, got 0")
	}
	if p[2] == 0 {
		return nil, raise("ValueError", "range() arg 3 must not be zero")
	}
	v := &rangeValue{start: p[0], stop: p[1], step: p[2]}
	if v.step > 0 && v.start < v.stop {
		v.n = (v.stop-v.start-1)/v.step + 1
	}
	if v.step < 0 && v.start > v.stop {
		v.n = (v.start-v.stop-1)/-v.step + 1
	}
	if v.n > maxRange {
		return nil, raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	return v, nil
}

func makeDict(r *run, a *arguments) (Value, error) {
	d := NewDict()
	if len(a.pos) > 1 {
		return nil, raise("TypeError", "dict expected at most 1 argument, got %d", len(a.pos))
	}
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*Dict); ok {
			if err := r.charge(from.Len()); err != nil {
				return nil, err
			}
			d = from.clone()
		} else if err := r.fill(d, a.pos[0]); err != nil {
			return nil, err
		}
	}
	for i, k := range a.names {
		d.Set(k, a.named[i])
	}
	return d, nil
}

// fill sets pairs in d.
func (r *run) fill(d *Dict, pairs Value) error {
	items, err := r.items(pairs)
	if err != nil {
		return err
	}
	for i, p := range items {
		kv, err := r.items(p)
		if err != nil {
			return err
		}
		if len(kv) != 2 {
			return raise("ValueError", "dictionary update sequence element #%d has length %d; 2 is required", i, len(kv))
		}
		if err := d.set(kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

func makeNamespace(r *run, a *arguments) (Value, error) {
	d, err := makeDict(r, a)
	if err != nil {
		return nil, err
	}
	return &namespace{d.(*Dict)}, nil
}

func raiseException(r *run, a *arguments) (Value, error) {
	v, _, err := a.bind("raise_exception", "message")
	if err != nil {
		return nil, err
	}
	s, err := r.str(v[0])
	if err != nil {
		return nil, err
	}
	return nil, raise("TemplateError", "%s", s)
}

func makeCycler(_ *run, a *arguments) (Value, error) {
	if len(a.pos) == 0 || len(a.names) > 0 {
		return nil, raise("RuntimeError", "at least one item has to be provided")
	}
	return &cycler{items: slices.Clone(a.pos)}, nil
}

func makeJoiner(r *run, a *arguments) (Value, error) {
	v, given, err := a.bind("joiner", "sep=")
	if err != nil {
		return nil, err
	}
	sep := ", "
	if given[0] {
		if sep, err = r.str(v[0]); err != nil {
			return nil, err
		}
	}
	used := false
	return &function{"joiner", func(_ *run, a *arguments) (Value, error) {
		if !used {
			used = true
			return "", nil
		}
		return sep, nil
	}}, nil
}
