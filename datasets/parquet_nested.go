package datasets

import (
	"errors"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Lists and structs of Parquet come as JSON: a list as an array, a struct as an
// object without the members that are null, for writers fill in what a row does
// not have; a map as an object.
// Format: github.com/apache/parquet-format, LogicalTypes.md, "Nested Types".

// parquetNode is one column of the tree of columns.
type parquetNode struct {
	name       string
	kind       nodeKind
	definition int // level from which the value is there; of a list, its first element
	repetition int // level of a list's elements
	children   []*parquetNode
	leaf       int // index in the readers of the tree's leaves, of the first
	leaves     int // how many leaves it has

	text   func(parquet.Value) (string, bool) // of a leaf
	number bool                               // a leaf's texts are numbers or booleans in JSON
}

type nodeKind uint8

const (
	nodeLeaf nodeKind = iota
	nodeStruct
	nodeList
	nodeMap
)

func (n *parquetNode) flat() bool { return n.kind == nodeLeaf && n.repetition == 0 }

// find is the column of that dotted path.
func (f *parquetFile) find(name string) (*parquet.Column, bool) {
	var found *parquet.Column
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		for _, child := range c.Columns() {
			path := strings.Join(child.Path(), ".")
			if path == name && found == nil {
				found = child
			}
			if strings.HasPrefix(name, path+".") {
				walk(child)
			}
		}
	}
	walk(f.plain.Root())
	return found, found != nil
}

// column is how the values of c are read. What lies in a list or a struct that
// may be null is read as what is there of it.
func (f *parquetFile) column(c *parquet.Column) parquetColumn {
	var out parquetColumn
	for _, leaf := range leafColumns(c, nil) {
		out.leaves = append(out.leaves, &leafReader{column: leaf})
	}
	next := 0
	out.node = nodeOf(c, &next)
	// A part of a list's elements is no value of a row.
	out.inside = c.MaxRepetitionLevel() > 1 || c.MaxRepetitionLevel() == 1 && !c.Repeated()
	return out
}

func nodeOf(c *parquet.Column, next *int) *parquetNode {
	n := &parquetNode{name: c.Name(), definition: c.MaxDefinitionLevel(), leaf: *next}
	switch {
	case c.Repeated(): // the oldest form of a list: a column that comes several times
		element := nodeOfOne(c, next)
		n.kind, n.repetition, n.children = nodeList, c.MaxRepetitionLevel(), []*parquetNode{element}
	default:
		*n = *nodeOfOne(c, next)
	}
	n.leaves = *next - n.leaf
	return n
}

// nodeOfOne is the node of c without its repetition.
func nodeOfOne(c *parquet.Column, next *int) *parquetNode {
	n := &parquetNode{name: c.Name(), definition: c.MaxDefinitionLevel(), leaf: *next}
	switch {
	case c.Leaf():
		*next++
		n.text, n.number = cellFormat(c), isJSONLiteral(c)
	case isAnnotated(c, isListType) && len(c.Columns()) == 1 && c.Columns()[0].Repeated():
		n.kind = nodeList
		repeated := c.Columns()[0]
		element := repeated
		// The element is the only column below the repeated one, but of old
		// writers, which name the repeated column itself so.
		if !repeated.Leaf() && len(repeated.Columns()) == 1 && repeated.Name() != "array" && repeated.Name() != c.Name()+"_tuple" {
			element = repeated.Columns()[0]
			n.children = []*parquetNode{nodeOf(element, next)}
		} else {
			n.children = []*parquetNode{nodeOfOne(element, next)}
		}
		n.repetition = repeated.MaxRepetitionLevel()
		n.children[0].name = ""
		n.definition = repeated.MaxDefinitionLevel()
	case isAnnotated(c, isMapType) && len(c.Columns()) == 1 && c.Columns()[0].Repeated() && len(c.Columns()[0].Columns()) == 2:
		n.kind = nodeMap
		pair := c.Columns()[0]
		n.repetition, n.definition = pair.MaxRepetitionLevel(), pair.MaxDefinitionLevel()
		n.children = []*parquetNode{nodeOf(pair.Columns()[0], next), nodeOf(pair.Columns()[1], next)}
	default:
		n.kind = nodeStruct
		for _, child := range c.Columns() {
			n.children = append(n.children, nodeOf(child, next))
		}
	}
	n.leaves = *next - n.leaf
	return n
}

// isJSONLiteral tells whether the texts of a leaf are JSON as they are.
func isJSONLiteral(c *parquet.Column) bool {
	switch c.Type().Kind() {
	case parquet.Boolean, parquet.Float, parquet.Double, parquet.Int32, parquet.Int64:
	default:
		return false
	}
	logical := c.Type().LogicalType()
	if logical == nil || logical.Value == nil {
		return true
	}
	switch logical.Value.(type) {
	case *format.IntType, *format.DecimalType:
		return true
	}
	return false
}

func isAnnotated(c *parquet.Column, is func(*format.LogicalType) bool) bool {
	t := c.Type().LogicalType()
	return t != nil && is(t)
}

func isListType(t *format.LogicalType) bool { _, ok := t.Value.(*format.ListType); return ok }
func isMapType(t *format.LogicalType) bool  { _, ok := t.Value.(*format.MapType); return ok }

// nestedWriter writes one row's values as JSON.
type nestedWriter struct {
	leaves   []*leafReader
	out      []byte
	formless bool // some value has no text form
}

var errLevels = errors.New("damaged data: levels of a list do not fit together")

// level is the definition level of the node's next value, -1 if there is none.
func (w *nestedWriter) level(n *parquetNode) int {
	l := w.leaves[n.leaf]
	if l.at >= len(l.row) {
		return -1
	}
	return l.peek().DefinitionLevel()
}

// skip passes over one value of each leaf of a node that is null or empty.
func (w *nestedWriter) skip(n *parquetNode) error {
	for _, l := range w.leaves[n.leaf : n.leaf+n.leaves] {
		if l.at >= len(l.row) {
			return errLevels
		}
		l.at++
	}
	return nil
}

func (w *nestedWriter) value(n *parquetNode) error {
	level := w.level(n)
	if level < 0 {
		return errLevels
	}
	switch {
	case n.kind == nodeList || n.kind == nodeMap:
		return w.list(n, level)
	case level < n.definition:
		w.out = append(w.out, "null"...)
		return w.skip(n)
	case n.kind == nodeStruct:
		return w.object(n)
	}
	l := w.leaves[n.leaf]
	v := l.peek()
	l.at++
	w.leafValue(n, v)
	return nil
}

func (w *nestedWriter) leafValue(n *parquetNode, v parquet.Value) {
	text, ok := n.text(v)
	switch {
	case !ok:
		w.formless = true
		w.out = append(w.out, "null"...)
	case n.number && slices.Contains([]string{"NaN", "+Inf", "-Inf"}, text):
		w.out = append(w.out, "null"...) // JSON has no such numbers
	case n.number:
		w.out = append(w.out, text...)
	default:
		w.out = appendQuoted(w.out, text)
	}
}

// object writes the members that are not null.
func (w *nestedWriter) object(n *parquetNode) error {
	w.out = append(w.out, '{')
	first := true
	for _, child := range n.children {
		start := len(w.out)
		if !first {
			w.out = append(w.out, ',')
		}
		w.out = append(appendQuoted(w.out, child.name), ':')
		begin := len(w.out)
		if err := w.value(child); err != nil {
			return err
		}
		if string(w.out[begin:]) == "null" {
			w.out = w.out[:start]
			continue
		}
		first = false
	}
	w.out = append(w.out, '}')
	return nil
}

// list writes a list or a map. An empty one has one value, of a lower level
// than elements have, and one that is null has it one lower still.
func (w *nestedWriter) list(n *parquetNode, level int) error {
	open, end := byte('['), byte(']')
	if n.kind == nodeMap {
		open, end = '{', '}'
	}
	if level < n.definition {
		if level < n.definition-1 {
			w.out = append(w.out, "null"...)
		} else {
			w.out = append(w.out, open, end)
		}
		return w.skip(n)
	}
	w.out = append(w.out, open)
	for more := true; more; {
		start := w.leaves[n.leaf].at
		if err := w.element(n); err != nil {
			return err
		}
		l := w.leaves[n.leaf]
		if l.at == start {
			return errLevels
		}
		if more = l.at < len(l.row) && l.peek().RepetitionLevel() == n.repetition; more {
			w.out = append(w.out, ',')
		}
	}
	w.out = append(w.out, end)
	return nil
}

func (w *nestedWriter) element(n *parquetNode) error {
	if n.kind == nodeList {
		return w.value(n.children[0])
	}
	begin := len(w.out)
	if err := w.value(n.children[0]); err != nil {
		return err
	}
	if w.out[begin] != '"' { // a number as a key
		key := string(w.out[begin:])
		w.out = appendQuoted(w.out[:begin], key)
	}
	w.out = append(w.out, ':')
	return w.value(n.children[1])
}
