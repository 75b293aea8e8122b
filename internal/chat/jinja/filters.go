package jinja

import (
	"math"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

type filterFunc = func(r *run, v Value, a *arguments) (Value, error)

func noFilter(id string) error {
	switch id {
	case "urlize", "xmlattr", "wordwrap", "pprint", "random", "filesizeformat":
		return raise("TemplateAssertionError", "the filter '%s' is not supported", id)
	}
	return raise("TemplateAssertionError", "No filter named '%s'.", clip(id))
}

func (r *run) filter(id string, v Value, a *arguments) (Value, error) {
	f, ok := r.filters[id]
	if !ok {
		return nil, noFilter(id)
	}
	if err := r.charge(1); err != nil {
		return nil, err
	}
	return f(r, v, a)
}

var filters = map[string]filterFunc{
	"abs": absFilter, "attr": attrFilter, "batch": batchFilter, "capitalize": textFilter(capitalized), "center": centerFilter,
	"count": lengthFilter, "d": defaultFilter, "default": defaultFilter, "dictsort": dictSortFilter, "e": escapeFilter,
	"escape": escapeFilter, "first": firstFilter, "float": floatFilter, "forceescape": forceEscapeFilter, "format": formatFilter,
	"groupby": groupByFilter, "indent": indentFilter, "int": intFilter, "items": itemsFilter, "join": joinFilter, "last": lastFilter,
	"length": lengthFilter, "list": listFilter, "lower": textFilter(lower), "map": mapFilter, "max": extremeFilter(1),
	"min": extremeFilter(-1), "reject": selectFilter(false, false), "rejectattr": selectFilter(false, true), "replace": replaceFilter,
	"reverse": reverseFilter, "round": roundFilter, "safe": safeFilter, "select": selectFilter(true, false),
	"selectattr": selectFilter(true, true), "slice": sliceFilter, "sort": sortFilter, "string": stringFilter, "striptags": textFilter(stripTags),
	"sum": sumFilter, "title": textFilter(jinjaTitle), "tojson": tojson, "trim": trimFilter, "truncate": truncateFilter,
	"unique": uniqueFilter, "upper": textFilter(upper), "urlencode": urlEncodeFilter, "wordcount": wordCountFilter,
}

// textFilter is one that takes str(v) and gives text marked as v was.
func textFilter(f func(string) string) filterFunc {
	return func(r *run, v Value, a *arguments) (Value, error) {
		if err := a.none("filter"); err != nil {
			return nil, err
		}
		s, err := r.str(v)
		if err != nil {
			return nil, err
		}
		if err := r.text(len(s)); err != nil {
			return nil, err
		}
		if _, safe := v.(markup); safe {
			return markup(f(s)), nil
		}
		return f(s), nil
	}
}

// jinjaTitle capitalizes after whitespace, hyphens and opening brackets only.
func jinjaTitle(s string) string {
	var b strings.Builder
	start := 0
	flush := func(end int) {
		word := s[start:end]
		if word != "" {
			_, n := utf8.DecodeRuneInString(word)
			b.WriteString(upper(word[:n]) + lower(word[n:]))
		}
	}
	for i, c := range s {
		if isSpace(c) || strings.ContainsRune("-({[<", c) {
			flush(i)
			b.WriteRune(c)
			start = i + utf8.RuneLen(c)
		}
	}
	flush(len(s))
	return b.String()
}

// stripTags removes comments and tags, and joins runs of whitespace.
func stripTags(s string) string {
	for _, mark := range [][2]string{{"<!--", "-->"}, {"<", ">"}} {
		var b strings.Builder
		for {
			i := strings.Index(s, mark[0])
			if i < 0 {
				break
			}
			end := strings.Index(s[i:], mark[1])
			if end < 0 {
				break
			}
			b.WriteString(s[:i])
			s = s[i+end+len(mark[1]):]
		}
		s = b.String() + s
	}
	unescape := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&#39;", "'", "&#34;", `"`, "&quot;", `"`)
	return unescape.Replace(strings.Join(strings.FieldsFunc(s, isSpace), " "))
}

func absFilter(_ *run, v Value, a *arguments) (Value, error) {
	if err := a.none("abs"); err != nil {
		return nil, err
	}
	if f, ok := v.(float64); ok {
		return math.Abs(f), nil
	}
	if b, ok := asBig(v); ok {
		return norm(new(big.Int).Abs(b)), nil
	}
	return nil, raise("TypeError", "bad operand type for abs(): '%s'", typeName(v))
}

func attrFilter(_ *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("attr", "name")
	if err != nil {
		return nil, err
	}
	id, err := textArg("attr", p[0])
	if err != nil {
		return nil, err
	}
	if x, ok, err := ownAttr(v, id); ok || err != nil {
		return x, err
	}
	return missingAttr(v, id), nil
}

func centerFilter(r *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("center", "width=")
	if err != nil {
		return nil, err
	}
	width := 80
	if given[0] {
		if width, err = intArg("center", p[0]); err != nil {
			return nil, err
		}
	}
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return r.pad(s, width, " ", true, true)
}

func lengthFilter(_ *run, v Value, a *arguments) (Value, error) {
	if err := a.none("length"); err != nil {
		return nil, err
	}
	n, err := length(v)
	return int64(n), err
}

func defaultFilter(_ *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("default", "default_value=", "boolean=")
	if err != nil {
		return nil, err
	}
	if _, missing := v.(*undefined); !missing && !(truth(p[1]) && !truth(v)) {
		return v, nil
	}
	if !given[0] {
		return "", nil
	}
	return p[0], nil
}

func escapeFilter(r *run, v Value, a *arguments) (Value, error) {
	if _, safe := v.(markup); safe {
		return v, a.none("escape")
	}
	return forceEscapeFilter(r, v, a)
}

func forceEscapeFilter(r *run, v Value, a *arguments) (Value, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	if err := r.text(6 * len(s)); err != nil {
		return nil, err
	}
	return markup(htmlEscaper.Replace(s)), a.none("escape")
}

func safeFilter(r *run, v Value, a *arguments) (Value, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return markup(s), a.none("safe")
}

func stringFilter(r *run, v Value, a *arguments) (Value, error) {
	if err := a.none("string"); err != nil {
		return nil, err
	}
	if _, safe := v.(markup); safe {
		return v, nil
	}
	return r.str(v)
}

func formatFilter(r *run, v Value, a *arguments) (Value, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	if len(a.names) == 0 {
		return r.percent(s, &Tuple{Items: a.pos})
	}
	if len(a.pos) > 0 {
		return nil, raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
	}
	d := NewDict()
	for i, k := range a.names {
		d.Set(k, a.named[i])
	}
	return r.percent(s, d)
}

func indentFilter(r *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("indent", "width=", "first=", "blank=")
	if err != nil {
		return nil, err
	}
	pad := "    "
	if s, ok := asString(p[0]); ok {
		pad = s
	} else if given[0] {
		n, err := intArg("indent", p[0])
		if err != nil {
			return nil, err
		}
		if err := r.text(n + 1); n > 0 && err != nil {
			return nil, err
		}
		pad = strings.Repeat(" ", max(n, 0))
	}
	s, ok := asString(v)
	if !ok {
		return nil, raise("TypeError", "indent of a '%s'", typeName(v))
	}
	w := &writer{r: r}
	for i, l := range splitLines(s+"\n", false) {
		if i > 0 {
			l = "\n" + map[bool]string{true: pad, false: ""}[l != "" || truth(p[2])] + l
		} else if truth(p[1]) {
			l = pad + l
		}
		if err := w.write(l); err != nil {
			return nil, err
		}
	}
	return string(w.b), nil
}

func replaceFilter(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("replace", "old", "new", "count=")
	if err != nil {
		return nil, err
	}
	n := -1
	if p[2] != nil {
		if n, err = intArg("replace", p[2]); err != nil {
			return nil, err
		}
	}
	var s [3]string
	for i, x := range []Value{v, p[0], p[1]} {
		if s[i], err = r.str(x); err != nil {
			return nil, err
		}
	}
	return r.replace(s[0], s[1], s[2], n)
}

func trimFilter(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("trim", "chars=")
	if err != nil {
		return nil, err
	}
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	out, err := r.strip("trim", s, p[0], true, true)
	if _, safe := v.(markup); safe {
		out = marked(out)
	}
	return out, err
}

func truncateFilter(r *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("truncate", "length=", "killwords=", "end=", "leeway=")
	if err != nil {
		return nil, err
	}
	size, leeway, end := 255, 5, "..."
	if given[0] {
		if size, err = intArg("truncate", p[0]); err != nil {
			return nil, err
		}
	}
	if given[2] {
		if end, err = textArg("truncate", p[2]); err != nil {
			return nil, err
		}
	}
	if p[3] != nil {
		if leeway, err = intArg("truncate", p[3]); err != nil {
			return nil, err
		}
	}
	s, ok := asString(v)
	if !ok {
		return nil, raise("TypeError", "truncate of a '%s'", typeName(v))
	}
	keep := size - utf8.RuneCountInString(end)
	if keep < 0 || leeway < 0 {
		return nil, raise("AssertionError", "expected length >= %d, got %d", utf8.RuneCountInString(end), size)
	}
	if utf8.RuneCountInString(s) <= size+leeway {
		return s, r.text(len(s))
	}
	s = s[:runeOffset(s, keep)]
	if i := strings.LastIndexByte(s, ' '); i >= 0 && !truth(p[1]) {
		s = s[:i]
	}
	return s + end, r.text(len(s))
}

func wordCountFilter(r *run, v Value, a *arguments) (Value, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	n := len(strings.FieldsFunc(s, func(c rune) bool { return c != '_' && !isAlpha(c) && !isNumeric(c) }))
	return int64(n), a.none("wordcount")
}

func urlEncodeFilter(r *run, v Value, a *arguments) (Value, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	if _, ok := asString(v); !ok {
		return nil, raise("TypeError", "urlencode takes a string here, not a '%s'", typeName(v))
	}
	if err := r.text(3 * len(s)); err != nil {
		return nil, err
	}
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	return strings.ReplaceAll(s, "%2F", "/"), a.none("urlencode")
}

func intFilter(_ *run, v Value, a *arguments) (Value, error) {
	if u, ok := v.(*undefined); ok {
		return nil, raise("UndefinedError", "%s", u.msg)
	}
	p, given, err := a.bind("int", "default=", "base=")
	if err != nil {
		return nil, err
	}
	base, fallback := 10, Value(int64(0))
	if given[0] {
		fallback = p[0]
	}
	if given[1] {
		if base, err = intArg("int", p[1]); err != nil {
			return nil, err
		}
	}
	if b, ok := asBig(v); ok {
		return norm(b), nil
	}
	if f, ok := v.(float64); ok {
		if n, err := fromFloat(f); err == nil {
			return n, nil
		}
		return fallback, nil
	}
	s, ok := asString(v)
	if !ok || len(s) > 4300 || base < 0 || base > 36 || base == 1 {
		return fallback, nil
	}
	s = strings.TrimFunc(s, isSpace)
	digits := strings.TrimLeft(s, "+-")
	if len(digits) > 2 && digits[0] == '0' && map[byte]int{'x': 16, 'o': 8, 'b': 2}[digits[1]|0x20] == base {
		s = s[:len(s)-len(digits)] + digits[2:]
	}
	if b, ok := new(big.Int).SetString(strings.ReplaceAll(s, "_", ""), base); ok && !strings.HasPrefix(s, "_") {
		return norm(b), nil
	}
	if f, ok := parseFloat(s); ok {
		if n, err := fromFloat(f); err == nil {
			return n, nil
		}
	}
	return fallback, nil
}

// parseFloat is float(s), which takes no hexadecimal digits.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func floatFilter(_ *run, v Value, a *arguments) (Value, error) {
	if u, ok := v.(*undefined); ok {
		return nil, raise("UndefinedError", "%s", u.msg)
	}
	p, given, err := a.bind("float", "default=")
	if err != nil {
		return nil, err
	}
	if f, ok := asFloat(v); ok {
		return f, nil
	}
	if s, ok := asString(v); ok {
		if f, ok := parseFloat(s); ok {
			return f, nil
		}
	}
	if given[0] {
		return p[0], nil
	}
	return 0.0, nil
}

// roundFilter rounds halves to even, and gives a float for "ceil" and "floor" too.
func roundFilter(_ *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("round", "precision=", "method=")
	if err != nil {
		return nil, err
	}
	n := 0
	if given[0] {
		if n, err = intArg("round", p[0]); err != nil {
			return nil, err
		}
	}
	method := "common"
	if given[1] {
		method, _ = asString(p[1])
	}
	f, ok := asFloat(v)
	if !ok {
		return nil, raise("TypeError", "type %s doesn't define __round__ method", typeName(v))
	}
	scale := math.Pow(10, float64(n))
	switch method {
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	case "common":
	default:
		return nil, raise("FilterArgumentError", "method must be common, ceil or floor")
	}
	if _, isInt := asBig(v); isInt && n >= 0 {
		return v, nil
	}
	if n < 0 {
		out := math.RoundToEven(f*scale) / scale
		if _, isInt := asBig(v); isInt {
			return fromFloat(out)
		}
		return out, nil
	}
	out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', min(n, 330), 64), 64)
	return out, nil
}

func reverseFilter(r *run, v Value, a *arguments) (Value, error) {
	if err := a.none("reverse"); err != nil {
		return nil, err
	}
	if s, ok := asString(v); ok {
		c := []rune(s)
		slices.Reverse(c)
		return string(c), r.text(len(s))
	}
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	return &generator{"list_reverseiterator", sliceIterator(items)}, r.charge(len(items))
}
