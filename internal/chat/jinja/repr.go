package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(v).
func (r *run) str(v Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case markup:
		return string(v), nil
	case *undefined:
		return "", nil
	}
	return r.repr(v)
}

// repr is Python's repr(v).
func (r *run) repr(v Value) (string, error) {
	w := &writer{r: r}
	err := w.repr(v)
	return string(w.b), err
}

// floatString prints a float as Python's repr does: the shortest digits that
// read back, with an exponent below 1e-4 and from 1e16 on.
func floatString(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quote is repr of a string: single quotes unless only double ones spare escapes.
func quote(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteByte(q)
	for _, c := range s {
		switch {
		case c == rune(q) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case printable(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteByte(q)
	return b.String()
}

// printable is Python's: no control, format, surrogate, private or unassigned
// character, and no separator but the space.
func printable(c rune) bool { return c == ' ' || unicode.IsGraphic(c) && !unicode.Is(unicode.Z, c) }

func (w *writer) repr(v Value) error {
	defer w.r.leave()
	if err := w.r.enter(); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return w.write("None")
	case bool:
		if v {
			return w.write("True")
		}
		return w.write("False")
	case int64:
		return w.write(strconv.FormatInt(v, 10))
	case *big.Int:
		s := v.String()
		if len(strings.TrimPrefix(s, "-")) > 4300 {
			return raise("ValueError", "Exceeds the limit (4300 digits) for integer string conversion")
		}
		return w.write(s)
	case float64:
		return w.write(floatString(v))
	case string:
		return w.write(quote(v))
	case markup:
		return w.write("Markup(" + quote(string(v)) + ")")
	case *List:
		return w.sequence("[", v.Items, "]")
	case *Tuple:
		if len(v.Items) == 1 {
			return w.sequence("(", v.Items, ",)")
		}
		return w.sequence("(", v.Items, ")")
	case *Dict:
		return w.dict(v)
	case *view:
		return w.sequence(v.kind+"([", v.items, "])")
	case *undefined:
		return w.write("Undefined")
	case *rangeValue:
		if v.step == 1 {
			return w.write(fmt.Sprintf("range(%d, %d)", v.start, v.stop))
		}
		return w.write(fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step))
	case *namespace:
		if err := w.write("<Namespace "); err != nil {
			return err
		}
		if err := w.repr(v.d); err != nil {
			return err
		}
		return w.write(">")
	case *macro:
		return w.write("<Macro " + quote(v.def.name) + ">")
	case *loop:
		s, err := v.repr()
		if err != nil {
			return err
		}
		return w.write(s)
	}
	// Python prints an address here, which no template can mean to show.
	return raise("TypeError", "a %s cannot be printed", typeName(v))
}

func (w *writer) sequence(open string, items []Value, end string) error {
	if err := w.write(open); err != nil {
		return err
	}
	for i, v := range items {
		if i > 0 {
			if err := w.write(", "); err != nil {
				return err
			}
		}
		if err := w.repr(v); err != nil {
			return err
		}
	}
	return w.write(end)
}

func (w *writer) dict(d *Dict) error {
	if err := w.write("{"); err != nil {
		return err
	}
	for i, k := range d.keys {
		if i > 0 {
			if err := w.write(", "); err != nil {
				return err
			}
		}
		if err := w.repr(k); err != nil {
			return err
		}
		if err := w.write(": "); err != nil {
			return err
		}
		if err := w.repr(d.vals[i]); err != nil {
			return err
		}
	}
	return w.write("}")
}
