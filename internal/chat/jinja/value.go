package jinja

import (
	"fmt"
	"math"
	"math/big"
)

// Value is a value of a template, one of: nil (None), bool, int64, *big.Int (an
// int that needs more than 64 bits), float64, string, *List, *Tuple, *Dict and
// the engine's own kinds, which no caller makes.
type Value any

// List is a Python list; a template cannot change it.
type List struct{ Items []Value }

// Tuple is a Python tuple.
type Tuple struct {
	Items []Value
	group bool // one of groupby's, whose two items have the names grouper and list
}

// markup is text declared safe for HTML (safe, escape): text that meets it in a
// sum is escaped, as markupsafe does even where autoescape is off.
type markup string

// undefined is what a missing variable, attribute or item evaluates to; msg is
// raised when it is used for more than printing and testing.
type undefined struct{ msg string }

// namespace is what namespace() makes: the one thing a template can change.
type namespace struct{ d *Dict }

// generator is an iterator that is consumed as it is read.
type generator struct {
	kind string // as Python prints it: generator, list_reverseiterator
	next func() (Value, bool, error)
}

// rangeValue is range(start, stop, step).
type rangeValue struct{ start, stop, step, n int64 }

// view is dict.keys(), .values() or .items().
type view struct {
	kind  string
	items []Value
}

// function is a global or a method.
type function struct {
	name string
	call func(r *run, a *arguments) (Value, error)
}

// arguments are the values of one call.
type arguments struct {
	pos   []Value
	names []string // of keyword arguments, in order
	named []Value
}

// NewList makes a list.
func NewList(items ...Value) *List { return &List{items} }

func asString(v Value) (string, bool) {
	switch s := v.(type) {
	case string:
		return s, true
	case markup:
		return string(s), true
	}
	return "", false
}

// typeName is the name Python gives the type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *List:
		return "list"
	case *Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *generator:
		return v.kind
	case *rangeValue:
		return "range"
	case *view:
		return v.kind
	case *function:
		return "builtin_function_or_method"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	}
	return fmt.Sprintf("%T", v)
}

// describe is how Jinja names an object in "has no attribute".
func describe(v Value) string {
	switch v.(type) {
	case nil:
		return "None"
	case *namespace, *macro, *loop, *cycler:
		return "jinja2." + typeName(v) + " object"
	}
	return typeName(v) + " object"
}

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Tuple:
		return len(v.Items) > 0
	case *Dict:
		return v.Len() > 0
	case *undefined:
		return false
	case *rangeValue:
		return v.n > 0
	case *view:
		return len(v.items) > 0
	}
	return true
}

// asInt reads an int or a bool, as Python's __index__ does.
func asInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// asBig reads an int of any size.
func asBig(v Value) (*big.Int, bool) {
	if i, ok := asInt(v); ok {
		return big.NewInt(i), true
	}
	b, ok := v.(*big.Int)
	return b, ok
}

// norm gives an int that fits 64 bits its small form, so that each int has one.
func norm(b *big.Int) Value {
	if b.IsInt64() {
		return b.Int64()
	}
	return b
}

func asFloat(v Value) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	if b, ok := asBig(v); ok {
		f, _ := new(big.Float).SetInt(b).Float64()
		return f, true
	}
	return 0, false
}

func isNumber(v Value) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// fromFloat is int(f), an error for infinities and NaN.
func fromFloat(f float64) (Value, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, raise("OverflowError", "cannot convert float %s to integer", floatString(f))
	}
	b, _ := big.NewFloat(math.Trunc(f)).Int(nil)
	return norm(b), nil
}
