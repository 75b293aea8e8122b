package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// getter reads an attribute path such as "function.name" or "0" of a value.
func (r *run) getter(path Value, fallback Value) func(Value) (Value, error) {
	if path == nil {
		return func(v Value) (Value, error) { return v, nil }
	}
	var parts []Value
	if s, ok := asString(path); ok {
		for _, p := range strings.Split(s, ".") {
			if n, err := strconv.ParseUint(p, 10, 31); err == nil {
				parts = append(parts, int64(n))
			} else {
				parts = append(parts, p)
			}
		}
	} else {
		parts = []Value{path}
	}
	return func(v Value) (Value, error) {
		for _, p := range parts {
			x, err := r.getItem(v, p)
			if err != nil {
				return nil, err
			}
			if _, missing := x.(*undefined); missing && fallback != nil {
				x = fallback
			}
			v = x
		}
		return v, nil
	}
}

// folded makes strings compare without case.
func folded(get func(Value) (Value, error), sensitive bool) func(Value) (Value, error) {
	if sensitive {
		return get
	}
	return func(v Value) (Value, error) {
		v, err := get(v)
		if s, ok := asString(v); ok {
			return lower(s), err
		}
		return v, err
	}
}

// sorted is a stable sort by key.
func (r *run) sorted(items []Value, key func(Value) (Value, error), reverse bool) ([]Value, error) {
	type keyed struct{ k, v Value }
	list := make([]keyed, len(items))
	for i, v := range items {
		k, err := key(v)
		if err != nil {
			return nil, err
		}
		list[i] = keyed{k, v}
	}
	var failed error
	slices.SortStableFunc(list, func(a, b keyed) int {
		if failed != nil {
			return 0
		}
		less, err := r.compare("<", a.k, b.k)
		if err == nil && !less {
			var more bool
			if more, err = r.compare("<", b.k, a.k); more {
				failed = err
				return map[bool]int{false: 1, true: -1}[reverse]
			}
		}
		failed = err
		if less {
			return map[bool]int{false: -1, true: 1}[reverse]
		}
		return 0
	})
	out := make([]Value, len(list))
	for i, k := range list {
		out[i] = k.v
	}
	return out, failed
}

func sortFilter(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("sort", "reverse=", "case_sensitive=", "attribute=")
	if err != nil {
		return nil, err
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	get := r.getter(p[2], nil)
	if s, ok := asString(p[2]); ok && strings.Contains(s, ",") {
		get = r.getters(strings.Split(s, ","), truth(p[1]))
	}
	out, err := r.sorted(items, folded(get, truth(p[1])), truth(p[0]))
	return &List{out}, err
}

// getters reads several attributes, as a list to sort by.
func (r *run) getters(paths []string, sensitive bool) func(Value) (Value, error) {
	return func(v Value) (Value, error) {
		out := &List{}
		for _, p := range paths {
			x, err := folded(r.getter(p, nil), sensitive)(v)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, x)
		}
		return out, nil
	}
}

func dictSortFilter(r *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("dictsort", "case_sensitive=", "by=", "reverse=")
	if err != nil {
		return nil, err
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, raise("TypeError", "dictsort of a '%s'", typeName(v))
	}
	at := 0
	switch by, _ := asString(p[1]); {
	case given[1] && by == "value":
		at = 1
	case given[1] && by != "key":
		return nil, raise("FilterArgumentError", `You can only sort by either "key" or "value"`)
	}
	get := folded(func(v Value) (Value, error) { return v.(*Tuple).Items[at], nil }, truth(p[0]))
	out, err := r.sorted(d.pairs(), get, truth(p[2]))
	return &List{out}, err
}

func uniqueFilter(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("unique", "case_sensitive=", "attribute=")
	if err != nil {
		return nil, err
	}
	next, _, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	get := folded(r.getter(p[1], nil), truth(p[0]))
	seen := map[any]bool{}
	return r.filtering(next, func(v Value) (bool, error) {
		k, err := get(v)
		if err != nil {
			return false, err
		}
		h, err := hashOf(k, 0)
		if err != nil || seen[h] {
			return false, err
		}
		seen[h] = true
		return true, nil
	}), nil
}

// filtering yields the items that keep holds for.
func (r *run) filtering(next func() (Value, bool, error), keep func(Value) (bool, error)) *generator {
	return &generator{"generator", func() (Value, bool, error) {
		for {
			v, ok, err := next()
			if err != nil || !ok {
				return nil, false, err
			}
			if err := r.charge(1); err != nil {
				return nil, false, err
			}
			ok, err = keep(v)
			if err != nil || ok {
				return v, err == nil, err
			}
		}
	}}
}

// selectFilter is select, reject (by the item) and selectattr, rejectattr.
func selectFilter(want, byAttr bool) filterFunc {
	return func(r *run, v Value, a *arguments) (Value, error) {
		rest := &arguments{pos: a.pos, names: a.names, named: a.named}
		get := r.getter(nil, nil)
		if byAttr {
			if len(rest.pos) == 0 {
				return nil, raise("FilterArgumentError", "Missing parameter for attribute name")
			}
			get, rest.pos = r.getter(rest.pos[0], nil), rest.pos[1:]
		}
		check := func(v Value) (Value, error) { return truth(v), nil }
		if len(rest.pos) > 0 {
			id, err := textArg("select", rest.pos[0])
			if err != nil {
				return nil, err
			}
			rest.pos = rest.pos[1:]
			check = func(v Value) (Value, error) { return r.test(id, v, rest) }
		}
		if !truth(v) {
			if _, isIter := v.(*generator); !isIter {
				return &generator{"generator", sliceIterator(nil)}, nil
			}
		}
		next, _, err := r.iterate(v)
		if err != nil {
			return nil, err
		}
		return r.filtering(next, func(v Value) (bool, error) {
			x, err := get(v)
			if err != nil {
				return false, err
			}
			ok, err := check(x)
			return truth(ok) == want, err
		}), nil
	}
}

func mapFilter(r *run, v Value, a *arguments) (Value, error) {
	var f func(Value) (Value, error)
	if len(a.pos) == 0 {
		p, given, err := a.bind("map", "attribute=", "default=")
		if err != nil {
			return nil, err
		}
		if !given[0] {
			return nil, raise("FilterArgumentError", "map requires a filter argument")
		}
		f = r.getter(p[0], p[1])
	} else {
		id, err := textArg("map", a.pos[0])
		if err != nil {
			return nil, err
		}
		rest := &arguments{a.pos[1:], a.names, a.named}
		f = func(v Value) (Value, error) { return r.filter(id, v, rest) }
	}
	if _, isIter := v.(*generator); !isIter && !truth(v) {
		return &generator{"generator", sliceIterator(nil)}, nil
	}
	next, _, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	return &generator{"generator", func() (Value, bool, error) {
		v, ok, err := next()
		if err != nil || !ok {
			return nil, false, err
		}
		out, err := f(v)
		return out, err == nil, err
	}}, nil
}

func itemsFilter(r *run, v Value, a *arguments) (Value, error) {
	if err := a.none("items"); err != nil {
		return nil, err
	}
	switch d := v.(type) {
	case *undefined:
		return &generator{"generator", sliceIterator(nil)}, nil
	case *Dict:
		return &generator{"generator", sliceIterator(d.pairs())}, r.charge(d.Len())
	}
	return nil, raise("TypeError", "Can only get item pairs from a mapping.")
}

func listFilter(r *run, v Value, a *arguments) (Value, error) {
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	if err := r.charge(len(items)); err != nil {
		return nil, err
	}
	return &List{slices.Clone(items)}, a.none("list")
}

func firstFilter(r *run, v Value, a *arguments) (Value, error) {
	next, _, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	x, ok, err := next()
	if err == nil && !ok {
		x = &undefined{"No first item, sequence was empty."}
	}
	if err == nil {
		err = a.none("first")
	}
	return x, err
}

func lastFilter(r *run, v Value, a *arguments) (Value, error) {
	if _, ok := v.(*generator); ok {
		return nil, raise("TypeError", "'generator' object is not reversible")
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return &undefined{"No last item, sequence was empty."}, nil
	}
	return items[len(items)-1], a.none("last")
}

func joinFilter(r *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("join", "d=", "attribute=")
	if err != nil {
		return nil, err
	}
	sep := ""
	if given[0] {
		if sep, err = r.str(p[0]); err != nil {
			return nil, err
		}
	}
	next, _, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	get := r.getter(p[1], nil)
	w := &writer{r: r}
	for first := true; ; first = false {
		x, ok, err := next()
		if err != nil || !ok {
			return string(w.b), err
		}
		if x, err = get(x); err != nil {
			return nil, err
		}
		text, err := r.str(x)
		if err != nil {
			return nil, err
		}
		if !first {
			text = sep + text
		}
		if err := w.write(text); err != nil {
			return nil, err
		}
	}
}

// extremeFilter is min (sign -1) or max (sign 1).
func extremeFilter(sign int) filterFunc {
	op := map[int]string{-1: "<", 1: ">"}[sign]
	return func(r *run, v Value, a *arguments) (Value, error) {
		p, _, err := a.bind("min", "case_sensitive=", "attribute=")
		if err != nil {
			return nil, err
		}
		items, err := r.items(v)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return &undefined{"No aggregated item, sequence was empty."}, nil
		}
		get := folded(r.getter(p[1], nil), truth(p[0]))
		best := items[0]
		bestKey, err := get(best)
		if err != nil {
			return nil, err
		}
		for _, x := range items[1:] {
			k, err := get(x)
			if err != nil {
				return nil, err
			}
			better, err := r.compare(op, k, bestKey)
			if err != nil {
				return nil, err
			}
			if better {
				best, bestKey = x, k
			}
		}
		return best, nil
	}
}

func sumFilter(r *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("sum", "attribute=", "start=")
	if err != nil {
		return nil, err
	}
	total := Value(int64(0))
	if given[1] {
		total = p[1]
	}
	if _, isText := asString(total); isText {
		return nil, raise("TypeError", "sum() can't sum strings [use ''.join(seq) instead]")
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	get := r.getter(p[0], nil)
	for _, x := range items {
		if x, err = get(x); err != nil {
			return nil, err
		}
		if total, err = r.binary("+", total, x); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func groupByFilter(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("groupby", "attribute", "default=", "case_sensitive=")
	if err != nil {
		return nil, err
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	get := r.getter(p[0], p[1])
	key := folded(get, truth(p[2]))
	list, err := r.sorted(items, key, false)
	if err != nil {
		return nil, err
	}
	out := &List{}
	var last Value
	for i, x := range list {
		k, err := key(x)
		if err != nil {
			return nil, err
		}
		same := false
		if i > 0 {
			if same, err = r.equal(k, last); err != nil {
				return nil, err
			}
		}
		if !same {
			shown, err := get(x)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, &Tuple{Items: []Value{shown, &List{}}, group: true})
		}
		last = k
		members := out.Items[len(out.Items)-1].(*Tuple).Items[1].(*List)
		members.Items = append(members.Items, x)
	}
	return out, nil
}

func batchFilter(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("batch", "linecount", "fill_with=")
	if err != nil {
		return nil, err
	}
	n, err := intArg("batch", p[0])
	if err != nil {
		return nil, err
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, raise("ValueError", "batch of %d items", n)
	}
	var out []Value
	for from := 0; from < len(items); from += n {
		part := slices.Clone(items[from:min(from+n, len(items))])
		if p[1] != nil {
			if err := r.charge(n); err != nil {
				return nil, err
			}
			for len(part) < n {
				part = append(part, p[1])
			}
		}
		out = append(out, &List{part})
	}
	return &generator{"generator", sliceIterator(out)}, r.charge(len(items))
}

func sliceFilter(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("slice", "slices", "fill_with=")
	if err != nil {
		return nil, err
	}
	n, err := intArg("slice", p[0])
	if err != nil {
		return nil, err
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, raise("ZeroDivisionError", "integer division or modulo by zero")
	}
	if err := r.charge(n + len(items)); err != nil {
		return nil, err
	}
	each, more := len(items)/n, len(items)%n
	out := make([]Value, n)
	for i, from := 0, 0; i < n; i++ {
		to := from + each
		if i < more {
			to++
		}
		part := slices.Clone(items[from:to])
		if p[1] != nil && i >= more {
			part = append(part, p[1])
		}
		out[i], from = &List{part}, to
	}
	return &generator{"generator", sliceIterator(out)}, nil
}
