package jinja

import (
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	listChanges = []string{"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"}
	dictChanges = []string{"clear", "pop", "popitem", "setdefault", "update"}
)

// ownAttr is Python's getattr for what is no item.
func ownAttr(v Value, id string) (Value, bool, error) {
	unsafe := func() (Value, bool, error) {
		return nil, true, raise("SecurityError", "access to attribute '%s' of '%s' object is unsafe.", clip(id), typeName(v))
	}
	switch x := v.(type) {
	case string:
		if m, ok := stringMethodNamed(id); ok {
			return &function{id, bind(m, x)}, true, nil
		}
	case markup:
		if m, ok := stringMethodNamed(id); ok {
			return &function{id, bindMarkup(m, string(x))}, true, nil
		}
	case *Dict:
		if m, ok := dictMethods[id]; ok {
			return &function{id, bind(m, x)}, true, nil
		}
		if slices.Contains(dictChanges, id) {
			return unsafe()
		}
	case *List:
		if m, ok := sequenceMethods[id]; ok {
			return &function{id, bind(m, x.Items)}, true, nil
		}
		if slices.Contains(listChanges, id) {
			return unsafe()
		}
		if id == "copy" {
			return &function{id, func(*run, *arguments) (Value, error) { return &List{slices.Clone(x.Items)}, nil }}, true, nil
		}
	case *Tuple:
		if m, ok := sequenceMethods[id]; ok {
			return &function{id, bind(m, x.Items)}, true, nil
		}
		if x.group && id == "grouper" {
			return x.Items[0], true, nil
		}
		if x.group && id == "list" {
			return x.Items[1], true, nil
		}
	case *namespace:
		v, ok := x.d.Get(id)
		return v, ok, nil
	case *macro:
		v, ok := x.attr(id)
		return v, ok, nil
	case *loop:
		return x.attr(id)
	case *cycler:
		v, ok := x.attr(id)
		return v, ok, nil
	}
	if strings.HasPrefix(id, "__") {
		return unsafe()
	}
	return nil, false, nil
}

// bind makes a method of what it is called on.
func bind[T any](m func(*run, T, *arguments) (Value, error), self T) func(*run, *arguments) (Value, error) {
	return func(r *run, a *arguments) (Value, error) { return m(r, self, a) }
}

func missingAttr(v Value, id string) Value {
	return &undefined{"'" + describe(v) + "' has no attribute '" + clip(id) + "'"}
}

// getAttr is x.name: the attribute, else the item.
func getAttr(v Value, id string) (Value, error) {
	if u, ok := v.(*undefined); ok {
		return nil, raise("UndefinedError", "%s", u.msg)
	}
	if x, ok, err := ownAttr(v, id); ok || err != nil {
		return x, err
	}
	if d, ok := v.(*Dict); ok {
		if x, ok := d.Get(id); ok {
			return x, nil
		}
	}
	return missingAttr(v, id), nil
}

// getItem is x[key]: the item, else the attribute of that name.
func (r *run) getItem(v, key Value) (Value, error) {
	switch x := v.(type) {
	case *undefined:
		return nil, raise("UndefinedError", "%s", x.msg)
	case *Dict:
		if item, ok, err := x.get(key); err == nil && ok {
			return item, nil
		}
	default:
		if i, ok := asInt(key); ok {
			if item, ok, err := r.element(v, i); ok || err != nil {
				return item, err
			}
		}
	}
	if id, ok := asString(key); ok {
		if x, ok, err := ownAttr(v, id); ok || err != nil {
			return x, err
		}
		return missingAttr(v, id), nil
	}
	text, err := r.repr(key)
	return &undefined{describe(v) + " has no element " + clip(text)}, err
}

// element is the i-th item of a sequence, counted from the end if negative.
func (r *run) element(v Value, i int64) (Value, bool, error) {
	switch v.(type) {
	case string, markup, *List, *Tuple, *rangeValue:
	default:
		return nil, false, nil
	}
	n, err := length(v)
	if err != nil {
		return nil, false, err
	}
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		return nil, false, nil
	}
	switch x := v.(type) {
	case *List:
		return x.Items[i], true, nil
	case *Tuple:
		return x.Items[i], true, nil
	case *rangeValue:
		return x.start + i*x.step, true, nil
	}
	s, _ := asString(v)
	if err := r.charge(len(s)/16 + 1); err != nil {
		return nil, false, err
	}
	start := runeOffset(s, int(i))
	_, size := utf8.DecodeRuneInString(s[start:])
	if _, safe := v.(markup); safe {
		return markup(s[start : start+size]), true, nil
	}
	return s[start : start+size], true, nil
}

// runeOffset is the byte at which the n-th code point begins.
func runeOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
