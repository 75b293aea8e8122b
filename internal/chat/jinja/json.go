package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
)

// maxJSONDepth bounds how deep JSON values nest.
const maxJSONDepth = 200

// DecodeJSON reads one JSON value as Python's json does: objects keep the order
// of their keys, ints of any size stay ints, a repeated key takes its last value.
func DecodeJSON(data []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("byte %d: something follows the JSON value", d.InputOffset())
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (Value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("values nest deeper than %d", maxJSONDepth)
	}
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return decodeObject(d, depth)
		}
		out := &List{Items: []Value{}}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, v)
		}
		_, err := d.Token()
		return out, err
	case json.Number:
		return decodeNumber(string(t))
	}
	return t, nil // string, bool or nil
}

func decodeObject(d *json.Decoder, depth int) (Value, error) {
	out := NewDict()
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		out.Set(k.(string), v)
	}
	_, err := d.Token()
	return out, err
}

func decodeNumber(s string) (Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if errors.Is(err, strconv.ErrRange) {
			err = nil // an infinity, as in Python
		}
		return f, err
	}
	if len(s) > 4300 {
		return nil, errors.New("an int of more than 4300 digits")
	}
	b, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, fmt.Errorf("bad number %q", clip(s))
	}
	return norm(b), nil
}

// dumper writes JSON as json.dumps does.
type dumper struct {
	*writer
	ascii, sorted bool
	indent        string
	pretty        bool
	comma, colon  string
}

func dumpString(s string, ascii bool) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\f':
			b.WriteString(`\f`)
		case c == '\b':
			b.WriteString(`\b`)
		case c < 0x20 || ascii && c > 0x7e && c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		case ascii && c >= 0x10000:
			c -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (d *dumper) value(v Value, level int) error {
	defer d.r.leave()
	if err := d.r.enter(); err != nil {
		return err
	}
	switch x := v.(type) {
	case nil:
		return d.write("null")
	case bool:
		return d.write(strconv.FormatBool(x))
	case int64, *big.Int:
		return d.repr(x)
	case float64:
		return d.write(jsonFloat(x))
	case string:
		return d.write(dumpString(x, d.ascii))
	case markup:
		return d.write(dumpString(string(x), d.ascii))
	case *List:
		return d.array(x.Items, level)
	case *Tuple:
		return d.array(x.Items, level)
	case *Dict:
		return d.object(x, level)
	}
	return raise("TypeError", "Object of type %s is not JSON serializable", typeName(v))
}

func jsonFloat(f float64) string {
	switch s := floatString(f); s {
	case "nan":
		return "NaN"
	case "inf":
		return "Infinity"
	case "-inf":
		return "-Infinity"
	default:
		return s
	}
}

func (d *dumper) newline(level int) error {
	if !d.pretty {
		return nil
	}
	if err := d.r.text(len(d.indent) * level); err != nil {
		return err
	}
	return d.write("\n" + strings.Repeat(d.indent, level))
}

func (d *dumper) array(items []Value, level int) error {
	if len(items) == 0 {
		return d.write("[]")
	}
	open := "["
	for _, v := range items {
		if err := d.write(open); err != nil {
			return err
		}
		open = d.comma
		if err := d.newline(level + 1); err != nil {
			return err
		}
		if err := d.value(v, level+1); err != nil {
			return err
		}
	}
	if err := d.newline(level); err != nil {
		return err
	}
	return d.write("]")
}

func (d *dumper) object(x *Dict, level int) error {
	if x.Len() == 0 {
		return d.write("{}")
	}
	pairs := x.pairs()
	if d.sorted {
		var err error
		if pairs, err = d.r.sorted(pairs, func(v Value) (Value, error) { return v.(*Tuple).Items[0], nil }, false); err != nil {
			return err
		}
	}
	open := "{"
	for _, p := range pairs {
		item := p.(*Tuple).Items
		key, err := d.key(item[0])
		if err != nil {
			return err
		}
		if err := d.write(open); err != nil {
			return err
		}
		open = d.comma
		if err := d.newline(level + 1); err != nil {
			return err
		}
		if err := d.write(dumpString(key, d.ascii) + d.colon); err != nil {
			return err
		}
		if err := d.value(item[1], level+1); err != nil {
			return err
		}
	}
	if err := d.newline(level); err != nil {
		return err
	}
	return d.write("}")
}

func (d *dumper) key(v Value) (string, error) {
	switch k := v.(type) {
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(k), nil
	case float64:
		return jsonFloat(k), nil
	case int64, *big.Int:
		return d.r.repr(k)
	}
	if s, ok := asString(v); ok {
		return s, nil
	}
	return "", raise("TypeError", "keys must be str, int, float, bool or None, not %s", typeName(v))
}

// tojson is transformers' filter: json.dumps that leaves HTML and Unicode alone.
func tojson(r *run, v Value, a *arguments) (Value, error) {
	p, given, err := a.bind("tojson", "ensure_ascii=", "indent=", "separators=", "sort_keys=")
	if err != nil {
		return nil, err
	}
	d := &dumper{writer: &writer{r: r}, ascii: truth(p[0]), sorted: truth(p[3]), comma: ", ", colon: ": "}
	if p[1] != nil {
		d.pretty, d.comma = true, ","
		if s, ok := asString(p[1]); ok {
			d.indent = s
		} else {
			n, err := intArg("tojson indent", p[1])
			if err != nil {
				return nil, err
			}
			if n > 1000 {
				return nil, limit("an indent of more than 1000")
			}
			d.indent = strings.Repeat(" ", max(n, 0))
		}
	}
	if given[2] && p[2] != nil {
		items, err := r.items(p[2])
		if err != nil {
			return nil, err
		}
		var ok, ok2 bool
		if len(items) == 2 {
			d.comma, ok = asString(items[0])
			d.colon, ok2 = asString(items[1])
		}
		if !ok || !ok2 {
			return nil, raise("TypeError", "separators must be two strings")
		}
	}
	if err := d.value(v, 0); err != nil {
		return nil, err
	}
	return string(d.b), nil
}
