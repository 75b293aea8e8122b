package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is one conversion of % or a format specification of str.format.
type spec struct {
	fill      string
	align     byte // < > ^ = or 0
	sign      byte // + space or 0
	alt, zero bool
	comma     string // between groups of three digits
	width     int
	precision int // -1 if none
	verb      byte
}

const maxWidth = 1 << 20

// percent is s % v.
func (r *run) percent(s string, v Value) (Value, error) {
	args := []Value{v}
	if t, ok := v.(*Tuple); ok {
		args = t.Items
	}
	d, _ := v.(*Dict)
	w := &writer{r: r}
	used := 0
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			break
		}
		if err := w.write(s[:i]); err != nil {
			return nil, err
		}
		s = s[i+1:]
		if strings.HasPrefix(s, "%") {
			s = s[1:]
			if err := w.write("%"); err != nil {
				return nil, err
			}
			continue
		}
		next := func() (Value, error) {
			if used++; used > len(args) {
				return nil, raise("TypeError", "not enough arguments for format string")
			}
			return args[used-1], nil
		}
		rest, key, keyed, err := percentKey(s)
		if err != nil {
			return nil, err
		}
		sp := spec{fill: " ", precision: -1}
		if s, err = sp.percent(rest, next); err != nil {
			return nil, err
		}
		var arg Value
		if keyed {
			if d == nil {
				return nil, raise("TypeError", "format requires a mapping")
			}
			var ok bool
			if arg, ok = d.Get(key); !ok {
				return nil, raise("KeyError", "%s", quote(key))
			}
			used = len(args)
		} else if arg, err = next(); err != nil {
			return nil, err
		}
		text, err := r.percentValue(&sp, arg)
		if err != nil {
			return nil, err
		}
		if err := w.write(text); err != nil {
			return nil, err
		}
	}
	if used < len(args) && d == nil {
		return nil, raise("TypeError", "not all arguments converted during string formatting")
	}
	if err := w.write(s); err != nil {
		return nil, err
	}
	return string(w.b), nil
}

// percentKey reads the "(name)" of a conversion.
func percentKey(s string) (rest, key string, keyed bool, err error) {
	if !strings.HasPrefix(s, "(") {
		return s, "", false, nil
	}
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[i+1:], s[1:i], true, nil
			}
		}
	}
	return "", "", false, raise("ValueError", "incomplete format key")
}

// percent reads flags, width, precision and verb, and returns what follows.
func (sp *spec) percent(s string, next func() (Value, error)) (string, error) {
	i := 0
	for ; i < len(s) && strings.IndexByte("-+ #0", s[i]) >= 0; i++ {
		switch s[i] {
		case '-':
			sp.align = '<'
		case '+':
			sp.sign = '+'
		case ' ':
			if sp.sign == 0 {
				sp.sign = ' '
			}
		case '#':
			sp.alt = true
		case '0':
			sp.zero = true
		}
	}
	s = s[i:]
	var err error
	if s, sp.width, err = starNumber(s, next); err != nil {
		return "", err
	}
	if sp.width < 0 {
		sp.align, sp.width = '<', -sp.width
	}
	if strings.HasPrefix(s, ".") {
		if s, sp.precision, err = starNumber(s[1:], next); err != nil {
			return "", err
		}
		sp.precision = max(sp.precision, 0)
	}
	s = strings.TrimLeft(s, "hlL")
	if s == "" {
		return "", raise("ValueError", "incomplete format")
	}
	sp.verb = s[0]
	return s[1:], nil
}

func starNumber(s string, next func() (Value, error)) (string, int, error) {
	if strings.HasPrefix(s, "*") {
		v, err := next()
		if err != nil {
			return "", 0, err
		}
		i, ok := asInt(v)
		if !ok {
			return "", 0, raise("TypeError", "* wants int")
		}
		if i > maxWidth || i < -maxWidth {
			return "", 0, limit("a width of more than %d", maxWidth)
		}
		return s[1:], int(i), nil
	}
	return leadingNumber(s)
}

func leadingNumber(s string) (string, int, error) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == 0 {
		return s, 0, nil
	}
	n, err := strconv.Atoi(s[:i])
	if err != nil || n > maxWidth {
		return "", 0, limit("a width or precision of more than %d", maxWidth)
	}
	return s[i:], n, nil
}

func (r *run) percentValue(sp *spec, v Value) (string, error) {
	var text string
	var err error
	switch sp.verb {
	case 's':
		text, err = r.str(v)
	case 'r', 'a':
		text, err = r.repr(v)
	case 'c':
		if i, ok := asInt(v); ok && i >= 0 && i <= utf8.MaxRune {
			return sp.pad(string(rune(i)), '>'), nil
		}
		if s, ok := asString(v); ok && utf8.RuneCountInString(s) == 1 {
			return sp.pad(s, '>'), nil
		}
		return "", raise("TypeError", "%%c requires int or char")
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if f, ok := v.(float64); ok && strings.IndexByte("diu", sp.verb) >= 0 {
			if v, err = fromFloat(f); err != nil {
				return "", err
			}
		}
		b, ok := asBig(v)
		if !ok {
			return "", raise("TypeError", "%%%c format: a real number is required, not %s", sp.verb, typeName(v))
		}
		return sp.integer(b), nil
	case 'e', 'E', 'f', 'F', 'g', 'G':
		f, ok := asFloat(v)
		if !ok {
			return "", raise("TypeError", "must be real number, not %s", typeName(v))
		}
		return sp.float(f), nil
	default:
		return "", raise("ValueError", "unsupported format character '%c'", sp.verb)
	}
	if err != nil {
		return "", err
	}
	sp.zero = false
	return sp.pad(sp.clip(text), '>'), nil
}

// clip keeps the first code points of a text, as many as the precision says.
func (sp *spec) clip(s string) string {
	if sp.precision >= 0 {
		return s[:runeOffset(s, sp.precision)]
	}
	return s
}

// pad fills to the width; usual is where the text stands if nothing says so.
func (sp *spec) pad(s string, usual byte) string {
	n := sp.width - utf8.RuneCountInString(s)
	if n <= 0 {
		return s
	}
	align := sp.align
	if align == 0 {
		align = usual
	}
	left := n
	switch align {
	case '<':
		left = 0
	case '^':
		left = n / 2
	}
	return strings.Repeat(sp.fill, left) + s + strings.Repeat(sp.fill, n-left)
}

// number signs, groups and pads digits.
func (sp *spec) number(negative bool, prefix, digits string) string {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case sp.sign != 0:
		sign = string(sp.sign)
	}
	sign += prefix
	if sp.comma != "" {
		digits = group(digits, sp.comma)
	}
	if sp.zero && sp.align == 0 || sp.align == '=' {
		fill := sp.fill
		if sp.zero {
			fill = "0"
		}
		if n := sp.width - len(sign) - len(digits); n > 0 {
			digits = strings.Repeat(fill, n) + digits
		}
		return sign + digits
	}
	return sp.pad(sign+digits, '>')
}

// group puts sep between groups of three digits before the point.
func group(s, sep string) string {
	end := strings.IndexAny(s, ".e%")
	if end < 0 {
		end = len(s)
	}
	out := s[end:]
	for end > 3 {
		out = sep + s[end-3:end] + out
		end -= 3
	}
	return s[:end] + out
}

func (sp *spec) integer(b *big.Int) string {
	base, prefix := 10, ""
	switch sp.verb {
	case 'x', 'X':
		base, prefix = 16, "0x"
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	}
	s := new(big.Int).Abs(b).Text(base)
	if sp.precision > len(s) {
		s = strings.Repeat("0", sp.precision-len(s)) + s
	}
	if !sp.alt {
		prefix = ""
	}
	if sp.verb == 'X' {
		s, prefix = strings.ToUpper(s), strings.ToUpper(prefix)
	}
	return sp.number(b.Sign() < 0, prefix, s)
}

func (sp *spec) float(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s := strings.TrimPrefix(floatString(f), "-")
		if sp.verb < 'a' && sp.verb != '%' && sp.verb != 0 {
			s = strings.ToUpper(s)
		}
		return sp.number(f < 0, "", s)
	}
	precision := sp.precision
	if precision < 0 {
		precision = 6
	}
	precision = min(precision, 1100) // more digits than any float64 has
	a := math.Abs(f)
	var s string
	switch sp.verb {
	case 'e', 'E':
		s = strconv.FormatFloat(a, 'e', precision, 64)
	case 'f', 'F':
		s = strconv.FormatFloat(a, 'f', precision, 64)
	case '%':
		s = strconv.FormatFloat(a*100, 'f', precision, 64) + "%"
	default:
		s = general(a, max(precision, 1), sp.alt)
	}
	if sp.verb == 'E' || sp.verb == 'G' {
		s = strings.ToUpper(s)
	}
	return sp.number(math.Signbit(f), "", s)
}

// general is C's %g: trailing zeros go, and the exponent decides the form.
func general(a float64, digits int, keepZeros bool) string {
	e := strconv.FormatFloat(a, 'e', digits-1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if exp < -4 || exp >= digits {
		mantissa, tail, _ := strings.Cut(e, "e")
		return trimZeros(mantissa, keepZeros) + "e" + tail
	}
	return trimZeros(strconv.FormatFloat(a, 'f', digits-1-exp, 64), keepZeros)
}

func trimZeros(s string, keep bool) string {
	if keep || !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// formatSpec is format(v, text).
func (r *run) formatSpec(v Value, text string) (string, error) {
	if text == "" {
		return r.str(v)
	}
	sp, err := parseSpec(text)
	if err != nil {
		return "", err
	}
	unknown := raise("ValueError", "Unknown format code '%c' for object of type '%s'", sp.verb, typeName(v))
	if s, ok := asString(v); ok {
		if sp.verb != 0 && sp.verb != 's' {
			return "", unknown
		}
		if sp.sign != 0 || sp.comma != "" || sp.align == '=' {
			return "", raise("ValueError", "Sign, ',' or '=' not allowed in string format specifier")
		}
		if sp.zero {
			sp.fill = "0"
		}
		return sp.pad(sp.clip(s), '<'), nil
	}
	if _, isBool := v.(bool); isBool && sp.verb == 0 {
		sp.verb = 'd'
	}
	b, isInt := asBig(v)
	f, isFloat := asFloat(v)
	switch {
	case isInt && (sp.verb == 0 || strings.IndexByte("dxXobn", sp.verb) >= 0):
		if sp.precision >= 0 {
			return "", raise("ValueError", "Precision not allowed in integer format specifier")
		}
		return sp.integer(b), nil
	case isInt && sp.verb == 'c' && b.IsInt64():
		return sp.pad(string(rune(b.Int64())), '<'), nil
	case isFloat && sp.verb == 0 && sp.precision < 0:
		return sp.number(math.Signbit(f), "", strings.TrimPrefix(floatString(f), "-")), nil
	case isFloat && sp.verb == 0:
		sp.verb = 'g'
		s := sp.float(f)
		if !strings.ContainsAny(s, ".en") {
			s += ".0"
		}
		return s, nil
	case isFloat && strings.IndexByte("eEfFgGn%", sp.verb) >= 0:
		return sp.float(f), nil
	case isInt || isFloat:
		return "", unknown
	}
	return "", raise("TypeError", "unsupported format string passed to %s.__format__", typeName(v))
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func parseSpec(text string) (*spec, error) {
	sp := &spec{fill: " ", precision: -1}
	s := text
	_, n := utf8.DecodeRuneInString(s)
	if len(s) > n && strings.IndexByte("<>=^", s[n]) >= 0 {
		sp.fill, sp.align, s = s[:n], s[n], s[n+1:]
	} else if strings.IndexByte("<>=^", s[0]) >= 0 {
		sp.align, s = s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		if s[0] != '-' {
			sp.sign = s[0]
		}
		s = s[1:]
	}
	if strings.HasPrefix(s, "#") {
		sp.alt, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		sp.zero, s = true, s[1:]
	}
	var err error
	if s, sp.width, err = leadingNumber(s); err != nil {
		return nil, err
	}
	if s != "" && (s[0] == ',' || s[0] == '_') {
		sp.comma, s = s[:1], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		before := s[1:]
		if s, sp.precision, err = leadingNumber(before); err != nil {
			return nil, err
		}
		if s == before {
			return nil, raise("ValueError", "Format specifier missing precision")
		}
	}
	if len(s) > 1 {
		return nil, raise("ValueError", "Invalid format specifier '%s'", clip(text))
	}
	if s != "" {
		sp.verb = s[0]
	}
	return sp, nil
}

// format is s.format(...).
func (r *run) format(s string, a *arguments) (Value, error) {
	w := &writer{r: r}
	auto := 0
	if err := w.format(s, a, &auto, 0); err != nil {
		return nil, err
	}
	return string(w.b), nil
}

func (w *writer) format(s string, a *arguments, auto *int, depth int) error {
	if depth > 2 {
		return raise("ValueError", "Max string recursion exceeded")
	}
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			return w.write(s)
		}
		if err := w.write(s[:i]); err != nil {
			return err
		}
		c := s[i]
		s = s[i+1:]
		switch {
		case s != "" && s[0] == c:
			if err := w.write(s[:1]); err != nil {
				return err
			}
			s = s[1:]
			continue
		case c == '}':
			return raise("ValueError", "Single '}' encountered in format string")
		}
		end := fieldEnd(s)
		if end < 0 {
			return raise("ValueError", "expected '}' before end of string")
		}
		if err := w.field(s[:end], a, auto, depth); err != nil {
			return err
		}
		s = s[end+1:]
	}
	return nil
}

func fieldEnd(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

// field writes one "{name!conversion:spec}".
func (w *writer) field(s string, a *arguments, auto *int, depth int) error {
	head, specText, _ := strings.Cut(s, ":")
	id, conversion, converted := strings.Cut(head, "!")
	v, err := w.r.fieldValue(id, a, auto)
	if err != nil {
		return err
	}
	if converted {
		switch conversion {
		case "s":
			v, err = w.r.str(v)
		case "r", "a":
			v, err = w.r.repr(v)
		default:
			err = raise("ValueError", "Unknown conversion specifier '%s'", clip(conversion))
		}
		if err != nil {
			return err
		}
	}
	in := &writer{r: w.r}
	if err := in.format(specText, a, auto, depth+1); err != nil {
		return err
	}
	text, err := w.r.formatSpec(v, string(in.b))
	if err != nil {
		return err
	}
	return w.write(text)
}

func (r *run) fieldValue(id string, a *arguments, auto *int) (Value, error) {
	first := id
	if i := strings.IndexAny(id, ".["); i >= 0 {
		first = id[:i]
	}
	v, err := a.field(first, auto)
	for rest := id[len(first):]; err == nil && rest != ""; {
		var key string
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, raise("ValueError", "Missing ']' in format string")
			}
			key, rest = rest[1:end], rest[end+1:]
			if n, bad := strconv.Atoi(key); bad == nil {
				v, err = r.getItem(v, int64(n))
			} else {
				v, err = r.getItem(v, key)
			}
			continue
		}
		rest = rest[1:]
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		key, rest = rest[:end], rest[end:]
		v, err = getAttr(v, key)
	}
	return v, err
}

func (a *arguments) field(id string, auto *int) (Value, error) {
	numbered := id != ""
	if !numbered {
		id = strconv.Itoa(*auto)
	}
	if n, err := strconv.Atoi(id); err == nil {
		// auto counts "{}" fields; below zero a number was written.
		if numbered && *auto > 0 || !numbered && *auto < 0 {
			return nil, raise("ValueError", "cannot mix numbered fields with {} in a format string")
		}
		if numbered {
			*auto = -1
		} else {
			*auto++
		}
		if n < 0 || n >= len(a.pos) {
			return nil, raise("IndexError", "Replacement index %d out of range for positional args tuple", n)
		}
		return a.pos[n], nil
	}
	for i, k := range a.names {
		if k == id {
			return a.named[i], nil
		}
	}
	return nil, raise("KeyError", "%s", fmt.Sprintf("'%s'", clip(id)))
}
