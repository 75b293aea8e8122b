package recipes

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// decoder puts YAML nodes into Go values, strictly, and keeps every fault. It
// exists because yaml's own strict mode names neither the nearest key nor the
// path, and accepts duplicates in places.
type decoder struct {
	file   string
	faults Faults
	// lines remembers where a path was set, for faults found later.
	lines map[string]int
}

// maxDepth bounds the nesting of a recipe: aliases can make it endless.
const maxDepth = 32

func newDecoder(file string) *decoder { return &decoder{file: file, lines: map[string]int{}} }

func (d *decoder) fault(n *yaml.Node, path, format string, args ...any) {
	line := 0
	if n != nil {
		line = n.Line
	}
	d.faults = append(d.faults, Fault{d.file, line, path, fmt.Sprintf(format, args...)})
}

// value decodes n into v.
func (d *decoder) value(n *yaml.Node, path string, v reflect.Value, depth int) {
	n, ok := d.resolve(n, path, depth)
	if !ok {
		return
	}
	d.lines[path] = n.Line
	if v.Type() == durationType {
		d.duration(n, path, v)
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		v.Set(reflect.ValueOf(d.free(n, path, depth)))
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, path, p.Elem(), depth+1)
		v.Set(p)
	case reflect.Struct:
		d.structure(n, path, v, depth)
	case reflect.Slice:
		d.list(n, path, v, depth)
	case reflect.Map:
		d.mapping(n, path, v, depth)
	default:
		if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			d.text(n, path, text)
			return
		}
		d.scalar(n, path, v)
	}
}

var durationType = reflect.TypeFor[time.Duration]()

// duration decodes a time such as 90s or 2m.
func (d *decoder) duration(n *yaml.Node, path string, v reflect.Value) {
	t, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.fault(n, path, "want a time such as 90s or 2m, have %s", describe(n))
		return
	}
	v.SetInt(int64(t))
}

// free decodes what is passed on as JSON: any keys, lists and values.
func (d *decoder) free(n *yaml.Node, path string, depth int) any {
	n, ok := d.resolve(n, path, depth)
	if !ok {
		return ""
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for key, value := range d.pairs(n, path) {
			out[key.Value] = d.free(value, join(path, key.Value), depth+1)
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = d.free(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		return out
	}
	var value any
	if err := n.Decode(&value); err != nil {
		d.fault(n, path, "%v", err)
	}
	switch value.(type) {
	case nil, bool, int, int64, uint64, float64:
		if value != nil {
			return value
		}
		d.fault(n, path, "want a value, have nothing")
	}
	return n.Value
}

// text decodes a scalar that is written in a way of its own.
func (d *decoder) text(n *yaml.Node, path string, v encoding.TextUnmarshaler) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.fault(n, path, "want text, have %s", describe(n))
	} else if err := v.UnmarshalText([]byte(n.Value)); err != nil {
		d.fault(n, path, "%v", err)
	}
}

// resolve follows an alias.
func (d *decoder) resolve(n *yaml.Node, path string, depth int) (*yaml.Node, bool) {
	if depth > maxDepth {
		d.fault(n, path, "nested too deep")
		return nil, false
	}
	if n.Kind == yaml.AliasNode {
		return d.resolve(n.Alias, path, depth+1)
	}
	return n, true
}

// field is a key that a struct accepts.
type field struct {
	key   string
	index []int
	// omit: the zero value is left out of fingerprints, so that a key that came
	// later leaves the artifacts of earlier recipes in use.
	omit bool
}

// fields lists the keys of t, those of inlined structs too.
func fields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, in := range fields(f.Type) {
				list = append(list, field{in.key, append([]int{i}, in.index...), in.omit})
			}
		case key != "" && key != "-":
			list = append(list, field{key, []int{i}, option == "omitempty"})
		}
	}
	return list
}

// Keys lists the keys that a struct with yaml tags accepts.
func keys(t reflect.Type) []string {
	var list []string
	for _, f := range fields(t) {
		list = append(list, f.key)
	}
	return list
}

func (d *decoder) structure(n *yaml.Node, path string, v reflect.Value, depth int) {
	known := fields(v.Type())
	for key, value := range d.pairs(n, path) {
		i := slices.IndexFunc(known, func(f field) bool { return f.key == key.Value })
		if i < 0 {
			d.fault(key, join(path, key.Value), "%s", unknown("key", key.Value, keys(v.Type())))
			continue
		}
		d.value(value, join(path, key.Value), v.FieldByIndex(known[i].index), depth+1)
	}
}

// pairs yields the keys and values of a mapping; anything else, and a key that
// comes twice, is a fault.
func (d *decoder) pairs(n *yaml.Node, path string) func(yield func(k, v *yaml.Node) bool) {
	return func(yield func(k, v *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			d.fault(n, path, "want keys and values, have %s", describe(n))
			return
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
				d.fault(k, path, "want a plain key, have %s", describe(k))
				continue
			}
			if line, twice := seen[k.Value]; twice {
				d.fault(k, join(path, k.Value), "key comes twice, first in line %d", line)
				continue
			}
			seen[k.Value] = k.Line
			if !yield(k, v) {
				return
			}
		}
	}
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "want a list, have %s", describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, fmt.Sprintf("%s[%d]", path, i), out.Index(i), depth+1)
	}
	v.Set(out)
}

var namedLists = reflect.TypeFor[map[string][]string]()

func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value, depth int) {
	out := reflect.MakeMap(v.Type())
	defer func() { v.Set(out) }()
	put := func(key string, n *yaml.Node, path string) {
		item := reflect.New(v.Type().Elem()).Elem()
		if n.Kind == yaml.ScalarNode && v.Type().ConvertibleTo(namedLists) {
			n = &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Content: []*yaml.Node{n}}
		}
		d.value(n, path, item, depth+1)
		out.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	}
	// Lists by name may be one text or one list: those have the empty name.
	if v.Type().ConvertibleTo(namedLists) && n.Kind != yaml.MappingNode {
		put("", n, path)
		return
	}
	for key, value := range d.pairs(n, path) {
		put(key.Value, value, join(path, key.Value))
	}
}

func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.fault(n, path, "want %s, have %s", wanted(v.Kind()), describe(n))
		return
	}
	var err error
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value) // as written: 1.10 stays 1.10
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(n.Value); err == nil && (n.Value == "true" || n.Value == "false") {
			v.SetBool(b)
		} else {
			err = strconv.ErrSyntax
		}
	case reflect.Int, reflect.Int64:
		var i int64
		if i, err = strconv.ParseInt(n.Value, 10, 64); err == nil {
			v.SetInt(i)
		}
	case reflect.Uint64:
		var u uint64
		if u, err = strconv.ParseUint(n.Value, 10, 64); err == nil {
			v.SetUint(u)
		}
	case reflect.Float64:
		var f float64
		if f, err = strconv.ParseFloat(n.Value, 64); err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			err = strconv.ErrRange
		}
		v.SetFloat(f)
	default:
		panic(fmt.Sprintf("recipes: %s has a field of type %s", path, v.Type()))
	}
	if err != nil || (n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 && v.Kind() != reflect.String) {
		d.fault(n, path, "want %s, have %s", wanted(v.Kind()), describe(n))
	}
}

// isNull: a value that was left out has no tag in some places.
func isNull(n *yaml.Node) bool {
	return n.ShortTag() == "!!null" || n.Value == "" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number, not negative"
	}
	return "a number"
}

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	case len(n.Value) > 60:
		return strconv.Quote(n.Value[:60] + "…")
	}
	return strconv.Quote(n.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
