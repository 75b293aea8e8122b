package jinja

import (
	"slices"
	"strings"
	"unicode/utf8"
)

func splitMethod(fn string, fromRight bool) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		v, _, err := a.bind(fn, "sep=", "maxsplit=")
		if err != nil {
			return nil, err
		}
		most := -1
		if v[1] != nil {
			if most, err = intArg(fn, v[1]); err != nil {
				return nil, err
			}
		}
		if err := r.text(len(s)); err != nil {
			return nil, err
		}
		var parts []string
		if v[0] == nil {
			parts = fields(s, most, fromRight)
		} else {
			sep, err := textArg(fn, v[0])
			if err != nil {
				return nil, err
			}
			if sep == "" {
				return nil, raise("ValueError", "empty separator")
			}
			parts = splitOn(s, sep, most, fromRight)
		}
		return stringList(parts), r.charge(len(parts))
	}
}

func stringList(parts []string) *List {
	out := &List{make([]Value, len(parts))}
	for i, p := range parts {
		out.Items[i] = p
	}
	return out
}

func splitOn(s, sep string, most int, fromRight bool) []string {
	if most < 0 {
		return strings.Split(s, sep)
	}
	if !fromRight {
		return strings.SplitN(s, sep, most+1)
	}
	var parts []string
	for ; most > 0; most-- {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		parts = append(parts, s[i+len(sep):])
		s = s[:i]
	}
	parts = append(parts, s)
	slices.Reverse(parts)
	return parts
}

// fields splits at runs of whitespace, at most most times if that is not negative.
func fields(s string, most int, fromRight bool) []string {
	if most < 0 {
		return strings.FieldsFunc(s, isSpace)
	}
	var parts []string
	for ; ; most-- {
		if fromRight {
			s = strings.TrimRightFunc(s, isSpace)
		} else {
			s = strings.TrimLeftFunc(s, isSpace)
		}
		if s == "" {
			break
		}
		if most == 0 {
			parts = append(parts, s)
			break
		}
		if fromRight {
			i := strings.LastIndexFunc(s, isSpace)
			if i >= 0 {
				_, n := utf8.DecodeRuneInString(s[i:])
				i += n
			}
			i = max(i, 0)
			parts, s = append(parts, s[i:]), s[:i]
			continue
		}
		i := strings.IndexFunc(s, isSpace)
		if i < 0 {
			i = len(s)
		}
		parts, s = append(parts, s[:i]), s[i:]
	}
	if fromRight {
		slices.Reverse(parts)
	}
	return parts
}

func splitLinesMethod(r *run, s string, a *arguments) (Value, error) {
	v, _, err := a.bind("splitlines", "keepends=")
	if err != nil {
		return nil, err
	}
	if err := r.text(len(s)); err != nil {
		return nil, err
	}
	parts := splitLines(s, truth(v[0]))
	return stringList(parts), r.charge(len(parts))
}

// splitLines cuts after each of the line ends that Python knows.
func splitLines(s string, keep bool) []string {
	var out []string
	for s != "" {
		i := strings.IndexFunc(s, isLineEnd)
		if i < 0 {
			return append(out, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, s[:i+n])
		} else {
			out = append(out, s[:i])
		}
		s = s[i+n:]
	}
	return out
}

func partitionMethod(fn string, find func(s, sub string) int) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		v, _, err := a.bind(fn, "sep")
		if err != nil {
			return nil, err
		}
		sep, err := textArg(fn, v[0])
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, raise("ValueError", "empty separator")
		}
		i := find(s, sep)
		switch {
		case i >= 0:
			return &Tuple{Items: []Value{s[:i], sep, s[i+len(sep):]}}, r.text(len(s))
		case fn == "rpartition":
			return &Tuple{Items: []Value{"", "", s}}, nil
		}
		return &Tuple{Items: []Value{s, "", ""}}, nil
	}
}

func padMethod(fn string, left, right bool) stringMethod {
	return func(r *run, s string, a *arguments) (Value, error) {
		v, _, err := a.bind(fn, "width", "fillchar=")
		if err != nil {
			return nil, err
		}
		width, err := intArg(fn, v[0])
		if err != nil {
			return nil, err
		}
		fill := " "
		if v[1] != nil {
			if fill, err = textArg(fn, v[1]); err != nil {
				return nil, err
			}
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, raise("TypeError", "The fill character must be exactly one character long")
		}
		return r.pad(s, width, fill, left, right)
	}
}

// pad fills s to width; centred, an odd remainder goes where CPython puts it.
func (r *run) pad(s string, width int, fill string, left, right bool) (Value, error) {
	n := width - utf8.RuneCountInString(s)
	if n <= 0 {
		return s, nil
	}
	if n > r.limits.Output {
		return nil, r.text(n)
	}
	if err := r.text(len(s) + n*len(fill)); err != nil {
		return nil, err
	}
	before := 0
	switch {
	case left && right:
		before = n/2 + n&width&1
	case left:
		before = n
	}
	return strings.Repeat(fill, before) + s + strings.Repeat(fill, n-before), nil
}

func zfillMethod(r *run, s string, a *arguments) (Value, error) {
	v, _, err := a.bind("zfill", "width")
	if err != nil {
		return nil, err
	}
	width, err := intArg("zfill", v[0])
	if err != nil {
		return nil, err
	}
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	out, err := r.pad(s, width-len(sign), "0", true, false)
	if err != nil {
		return nil, err
	}
	return sign + out.(string), nil
}

func expandTabsMethod(r *run, s string, a *arguments) (Value, error) {
	v, given, err := a.bind("expandtabs", "tabsize=")
	if err != nil {
		return nil, err
	}
	size := 8
	if given[0] {
		if size, err = intArg("expandtabs", v[0]); err != nil {
			return nil, err
		}
	}
	w := &writer{r: r}
	column := 0
	for _, c := range s {
		text := string(c)
		switch c {
		case '\t':
			n := 0
			if size > 0 {
				n = size - column%size
			}
			if err := r.text(n); err != nil {
				return nil, err
			}
			text = strings.Repeat(" ", n)
			column += n
		case '\n', '\r':
			column = 0
		default:
			column++
		}
		if err := w.write(text); err != nil {
			return nil, err
		}
	}
	return string(w.b), nil
}
