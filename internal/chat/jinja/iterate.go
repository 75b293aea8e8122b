package jinja

import "unicode/utf8"

// maxRange is what Jinja's sandbox allows of range().
const maxRange = 100_000

func sliceIterator(items []Value) func() (Value, bool, error) {
	i := -1
	return func() (Value, bool, error) {
		if i++; i >= len(items) {
			return nil, false, nil
		}
		return items[i], true, nil
	}
}

// iterate opens an iterable; size is -1 where Python's len() does not work.
func (r *run) iterate(v Value) (next func() (Value, bool, error), size int, err error) {
	switch v := v.(type) {
	case string:
		return stringIterator(v), utf8.RuneCountInString(v), nil
	case markup:
		return stringIterator(string(v)), utf8.RuneCountInString(string(v)), nil
	case *List:
		return sliceIterator(v.Items), len(v.Items), nil
	case *Tuple:
		return sliceIterator(v.Items), len(v.Items), nil
	case *Dict:
		return sliceIterator(v.keys), v.Len(), nil
	case *view:
		return sliceIterator(v.items), len(v.items), nil
	case *undefined:
		return sliceIterator(nil), 0, nil
	case *generator:
		return v.next, -1, nil
	case *rangeValue:
		i := int64(-1)
		return func() (Value, bool, error) {
			if i++; i >= v.n {
				return nil, false, nil
			}
			return v.start + i*v.step, true, nil
		}, int(v.n), nil
	}
	return nil, 0, raise("TypeError", "'%s' object is not iterable", typeName(v))
}

func stringIterator(s string) func() (Value, bool, error) {
	return func() (Value, bool, error) {
		if s == "" {
			return nil, false, nil
		}
		_, n := utf8.DecodeRuneInString(s)
		c := s[:n]
		s = s[n:]
		return c, true, nil
	}
}

// drain reads an iterator to its end.
func (r *run) drain(next func() (Value, bool, error)) ([]Value, error) {
	out := []Value{}
	for {
		v, ok, err := next()
		if err != nil || !ok {
			return out, err
		}
		if err := r.charge(1); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

// items is list(v). The slice may be v's own: it is not to be changed.
func (r *run) items(v Value) ([]Value, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, r.charge(1)
	case *Tuple:
		return v.Items, r.charge(1)
	}
	next, _, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	return r.drain(next)
}

// length is len(v).
func length(v Value) (int, error) {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v), nil
	case markup:
		return utf8.RuneCountInString(string(v)), nil
	case *List:
		return len(v.Items), nil
	case *Tuple:
		return len(v.Items), nil
	case *Dict:
		return v.Len(), nil
	case *view:
		return len(v.items), nil
	case *undefined:
		return 0, nil
	case *rangeValue:
		return int(v.n), nil
	case *loop:
		return v.size()
	}
	return 0, raise("TypeError", "object of type '%s' has no len()", typeName(v))
}
