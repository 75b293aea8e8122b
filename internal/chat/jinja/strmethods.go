package jinja

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

type stringMethod = func(r *run, s string, a *arguments) (Value, error)

// stringMethods are str's; translate, maketrans and encode, which make or need
// what templates do not have, are absent.
var stringMethods = map[string]stringMethod{
	"upper": noArgs(upper), "lower": noArgs(lower), "title": noArgs(titled), "capitalize": noArgs(capitalized),
	"swapcase": noArgs(swapCase), "casefold": noArgs(func(s string) string { return cases.Fold().String(s) }),
	"strip":        stripMethod("strip", true, true),
	"lstrip":       stripMethod("lstrip", true, false),
	"rstrip":       stripMethod("rstrip", false, true),
	"startswith":   affixMethod("startswith", strings.HasPrefix),
	"endswith":     affixMethod("endswith", strings.HasSuffix),
	"removeprefix": cutMethod("removeprefix", strings.TrimPrefix),
	"removesuffix": cutMethod("removesuffix", strings.TrimSuffix),
	"split":        splitMethod("split", false), "rsplit": splitMethod("rsplit", true),
	"splitlines": splitLinesMethod,
	"partition":  partitionMethod("partition", strings.Index), "rpartition": partitionMethod("rpartition", strings.LastIndex),
	"replace": replaceMethod, "join": joinMethod,
	"find": findMethod("find", false, false), "rfind": findMethod("rfind", true, false),
	"index": findMethod("index", false, true), "rindex": findMethod("rindex", true, true),
	"count":  countMethod,
	"center": padMethod("center", true, true), "ljust": padMethod("ljust", false, true), "rjust": padMethod("rjust", true, false),
	"zfill": zfillMethod, "expandtabs": expandTabsMethod,
	"isalpha": predicate(isAlpha), "isdigit": predicate(isDigit), "isdecimal": predicate(isDecimal), "isnumeric": predicate(isNumeric),
	"isalnum": predicate(func(c rune) bool { return isAlpha(c) || isNumeric(c) || isDigit(c) }), "isspace": predicate(isSpace),
	"isascii":      boolMethod(func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return c > 127 }) < 0 }),
	"isprintable":  boolMethod(func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return !printable(c) }) < 0 }),
	"isidentifier": boolMethod(isIdentifier),
	"islower":      boolMethod(isLowerText), "isupper": boolMethod(isUpperText), "istitle": boolMethod(isTitleText),
}

// stringMethodNamed finds a method; format and format_map are apart because they can
// reach any other method.
func stringMethodNamed(id string) (stringMethod, bool) {
	switch id {
	case "format":
		return func(r *run, s string, a *arguments) (Value, error) { return r.format(s, a) }, true
	case "format_map":
		return formatMap, true
	}
	m, ok := stringMethods[id]
	return m, ok
}

func formatMap(r *run, s string, a *arguments) (Value, error) {
	v, _, err := a.bind("format_map", "mapping")
	if err != nil {
		return nil, err
	}
	in := &arguments{}
	if err := in.spread(v[0]); err != nil {
		return nil, err
	}
	return r.format(s, in)
}

func bindMarkup(m stringMethod, self string) func(*run, *arguments) (Value, error) {
	return func(r *run, a *arguments) (Value, error) {
		safe := &arguments{names: a.names}
		for _, v := range a.pos {
			safe.pos = append(safe.pos, escaped(v))
		}
		for _, v := range a.named {
			safe.named = append(safe.named, escaped(v))
		}
		out, err := m(r, self, safe)
		return marked(out), err
	}
}

func noArgs(f func(string) string) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		if err := a.none("method"); err != nil {
			return nil, err
		}
		if err := r.text(len(s)); err != nil {
			return nil, err
		}
		return f(s), nil
	}
}

func boolMethod(f func(string) bool) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		if err := a.none("method"); err != nil {
			return nil, err
		}
		return f(s), r.charge(len(s) / 16)
	}
}

// predicate holds for a text of one or more characters that all satisfy f.
func predicate(f func(rune) bool) stringMethod {
	return boolMethod(func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !f(c) }) < 0
	})
}

func upper(s string) string { return cases.Upper(language.Und).String(s) }
func lower(s string) string { return cases.Lower(language.Und).String(s) }

func stripMethod(fn string, left, right bool) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		v, _, err := a.bind(fn, "chars=")
		if err != nil {
			return nil, err
		}
		return r.strip(fn, s, v[0], left, right)
	}
}

func (r *run) strip(fn, s string, chars Value, left, right bool) (Value, error) {
	drop := isSpace
	if chars != nil {
		set, err := textArg(fn, chars)
		if err != nil {
			return nil, err
		}
		if err := r.charge(len(set) + len(set)/16*len(s)/16); err != nil {
			return nil, err
		}
		drop = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s, r.text(len(s))
}

// window cuts a string to its [start:end] arguments, and says at which byte and
// code point it begins. ok is false if start lies beyond the end.
func (r *run) window(fn, s string, start, end Value) (cut string, first int, ok bool, err error) {
	if start == nil && end == nil {
		return s, 0, true, nil
	}
	n := int64(utf8.RuneCountInString(s))
	var p [2]*int64
	for i, v := range []Value{start, end} {
		if v != nil {
			k, err := intArg(fn, v)
			if err != nil {
				return "", 0, false, err
			}
			k64 := int64(k)
			p[i] = &k64
		}
	}
	if p[0] != nil && *p[0] > n {
		return "", 0, false, nil
	}
	from, count, _ := sliceRange(p[0], p[1], nil, n)
	at := runeOffset(s, int(from))
	return s[at : at+runeOffset(s[at:], int(count))], int(from), true, r.charge(len(s)/16 + 1)
}

func affixMethod(fn string, has func(s, affix string) bool) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		v, _, err := a.bind(fn, "prefix", "start=", "end=")
		if err != nil {
			return nil, err
		}
		s, _, ok, err := r.window(fn, s, v[1], v[2])
		if err != nil || !ok {
			return false, err
		}
		options := []Value{v[0]}
		if t, ok := v[0].(*Tuple); ok {
			options = t.Items
		}
		for _, o := range options {
			affix, ok := asString(o)
			if !ok {
				return nil, raise("TypeError", "%s first arg must be str or a tuple of str, not %s", fn, typeName(o))
			}
			if err := r.charge(len(affix)/16 + 1); err != nil {
				return nil, err
			}
			if has(s, affix) {
				return true, nil
			}
		}
		return false, nil
	}
}

func cutMethod(fn string, cut func(s, affix string) string) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		v, _, err := a.bind(fn, "affix")
		if err != nil {
			return nil, err
		}
		affix, err := textArg(fn, v[0])
		return cut(s, affix), err
	}
}

func replaceMethod(r *run, s string, a *arguments) (Value, error) {
	v, _, err := a.bind("replace", "old", "new", "count=")
	if err != nil {
		return nil, err
	}
	old, err := textArg("replace", v[0])
	if err != nil {
		return nil, err
	}
	with, err := textArg("replace", v[1])
	if err != nil {
		return nil, err
	}
	n := -1
	if v[2] != nil {
		if n, err = intArg("replace", v[2]); err != nil {
			return nil, err
		}
	}
	return r.replace(s, old, with, n)
}

func (r *run) replace(s, old, with string, n int) (Value, error) {
	if err := r.text(len(s)); err != nil {
		return nil, err
	}
	found := strings.Count(s, old)
	if n >= 0 {
		found = min(found, n)
	}
	if err := r.text(len(s) + found*(len(with)-len(old))); err != nil {
		return nil, err
	}
	return strings.Replace(s, old, with, n), nil
}

func joinMethod(r *run, s string, a *arguments) (Value, error) {
	v, _, err := a.bind("join", "iterable")
	if err != nil {
		return nil, err
	}
	items, err := r.items(v[0])
	if err != nil {
		return nil, err
	}
	w := &writer{r: r}
	for i, item := range items {
		text, ok := asString(item)
		if !ok {
			return nil, raise("TypeError", "sequence item %d: expected str instance, %s found", i, typeName(item))
		}
		if i > 0 {
			text = s + text
		}
		if err := w.write(text); err != nil {
			return nil, err
		}
	}
	return string(w.b), nil
}

func findMethod(fn string, last, strict bool) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		v, _, err := a.bind(fn, "sub", "start=", "end=")
		if err != nil {
			return nil, err
		}
		sub, err := textArg(fn, v[0])
		if err != nil {
			return nil, err
		}
		cut, first, ok, err := r.window(fn, s, v[1], v[2])
		if err != nil {
			return nil, err
		}
		i := -1
		if ok {
			i = strings.Index(cut, sub)
			if last {
				i = strings.LastIndex(cut, sub)
			}
		}
		if i < 0 && strict {
			return nil, raise("ValueError", "substring not found")
		}
		if i > 0 || i == 0 && first > 0 {
			i = first + utf8.RuneCountInString(cut[:i])
		}
		return int64(i), r.charge(len(s)/16 + 1)
	}
}

func countMethod(r *run, s string, a *arguments) (Value, error) {
	v, _, err := a.bind("count", "sub", "start=", "end=")
	if err != nil {
		return nil, err
	}
	sub, err := textArg("count", v[0])
	if err != nil {
		return nil, err
	}
	cut, _, ok, err := r.window("count", s, v[1], v[2])
	if !ok {
		return int64(0), err
	}
	return int64(strings.Count(cut, sub)), r.charge(len(s)/16 + 1)
}

var sequenceMethods = map[string]func(r *run, items []Value, a *arguments) (Value, error){
	"count": func(r *run, items []Value, a *arguments) (Value, error) {
		v, _, err := a.bind("count", "value")
		if err != nil {
			return nil, err
		}
		n := int64(0)
		for _, x := range items {
			same, err := r.equal(x, v[0])
			if err != nil {
				return nil, err
			}
			if same {
				n++
			}
		}
		return n, nil
	},
	"index": func(r *run, items []Value, a *arguments) (Value, error) {
		v, _, err := a.bind("index", "value")
		if err != nil {
			return nil, err
		}
		for i, x := range items {
			same, err := r.equal(x, v[0])
			if err != nil {
				return nil, err
			}
			if same {
				return int64(i), nil
			}
		}
		return nil, raise("ValueError", "the value is not in list")
	},
}

var dictMethods = map[string]func(r *run, d *Dict, a *arguments) (Value, error){
	"get": func(_ *run, d *Dict, a *arguments) (Value, error) {
		v, _, err := a.bind("get", "key", "default=")
		if err != nil {
			return nil, err
		}
		x, ok, err := d.get(v[0])
		if !ok {
			x = v[1]
		}
		return x, err
	},
	"keys": func(_ *run, d *Dict, a *arguments) (Value, error) {
		return &view{"dict_keys", d.keys}, a.none("keys")
	},
	"values": func(_ *run, d *Dict, a *arguments) (Value, error) {
		return &view{"dict_values", d.vals}, a.none("values")
	},
	"items": func(r *run, d *Dict, a *arguments) (Value, error) {
		if err := r.charge(d.Len()); err != nil {
			return nil, err
		}
		return &view{"dict_items", d.pairs()}, a.none("items")
	},
	"copy": func(r *run, d *Dict, a *arguments) (Value, error) {
		if err := r.charge(d.Len()); err != nil {
			return nil, err
		}
		return d.clone(), a.none("copy")
	},
	"fromkeys": func(r *run, _ *Dict, a *arguments) (Value, error) {
		v, _, err := a.bind("fromkeys", "iterable", "value=")
		if err != nil {
			return nil, err
		}
		keys, err := r.items(v[0])
		if err != nil {
			return nil, err
		}
		d := NewDict()
		for _, k := range keys {
			if err := d.set(k, v[1]); err != nil {
				return nil, err
			}
		}
		return d, nil
	},
}
