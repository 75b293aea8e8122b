package jinja

import (
	"math"
	"math/big"
	"strings"
)

func unary(op string, v Value) (Value, error) {
	switch x := v.(type) {
	case float64:
		if op == "-" {
			return -x, nil
		}
		return x, nil
	case *undefined:
		return nil, raise("UndefinedError", "%s", x.msg)
	}
	b, ok := asBig(v)
	if !ok {
		return nil, raise("TypeError", "bad operand type for unary %s: '%s'", op, typeName(v))
	}
	if op == "-" {
		b = new(big.Int).Neg(b)
	}
	return norm(b), nil
}

func badOperands(op string, x, y Value) error {
	if op == "**" {
		op = "** or pow()"
	}
	return raise("TypeError", "unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(x), typeName(y))
}

func (r *run) binary(op string, x, y Value) (Value, error) {
	for _, v := range []Value{x, y} {
		if u, ok := v.(*undefined); ok {
			if s, isText := asString(x); isText && op == "%" {
				return r.percent(s, y)
			}
			return nil, raise("UndefinedError", "%s", u.msg)
		}
	}
	if isNumber(x) && isNumber(y) {
		return numbers(op, x, y)
	}
	switch op {
	case "+":
		return r.add(x, y)
	case "*":
		if n, ok := asInt(y); ok {
			return r.repeat(x, n)
		}
		if n, ok := asInt(x); ok {
			return r.repeat(y, n)
		}
	case "%":
		if s, ok := x.(string); ok {
			return r.percent(s, y)
		}
		if s, ok := x.(markup); ok {
			out, err := r.percent(string(s), escaped(y))
			return marked(out), err
		}
	case "-":
		return nil, badOperands(op, x, y)
	}
	return nil, badOperands(op, x, y)
}

func (r *run) add(x, y Value) (Value, error) {
	_, safeX := x.(markup)
	_, safeY := y.(markup)
	a, okX := asString(x)
	b, okY := asString(y)
	switch {
	case okX && okY:
		if safeX || safeY {
			a, b = escapeText(x), escapeText(y)
		}
		if err := r.text(len(a) + len(b)); err != nil {
			return nil, err
		}
		if safeX || safeY {
			return markup(a + b), nil
		}
		return a + b, nil
	case okX:
		return nil, raise("TypeError", `can only concatenate str (not "%s") to str`, typeName(y))
	}
	switch a := x.(type) {
	case *List:
		if b, ok := y.(*List); ok {
			items, err := r.join(a.Items, b.Items)
			return &List{items}, err
		}
		return nil, raise("TypeError", `can only concatenate list (not "%s") to list`, typeName(y))
	case *Tuple:
		if b, ok := y.(*Tuple); ok {
			items, err := r.join(a.Items, b.Items)
			return &Tuple{Items: items}, err
		}
		return nil, raise("TypeError", `can only concatenate tuple (not "%s") to tuple`, typeName(y))
	}
	return nil, badOperands("+", x, y)
}

func (r *run) join(a, b []Value) ([]Value, error) {
	if err := r.charge(len(a) + len(b)); err != nil {
		return nil, err
	}
	return append(append(make([]Value, 0, len(a)+len(b)), a...), b...), nil
}

// repeat is v * n for sequences.
func (r *run) repeat(v Value, n int64) (Value, error) {
	n = max(n, 0)
	if s, ok := asString(v); ok {
		if s == "" {
			n = 0
		}
		if n > int64(r.limits.Output) {
			n = int64(r.limits.Output) + 1
		}
		if err := r.text(len(s) * int(n)); err != nil {
			return nil, err
		}
		if _, safe := v.(markup); safe {
			return markup(strings.Repeat(s, int(n))), nil
		}
		return strings.Repeat(s, int(n)), nil
	}
	var items []Value
	switch l := v.(type) {
	case *List:
		items = l.Items
	case *Tuple:
		items = l.Items
	default:
		return nil, badOperands("*", v, n)
	}
	if len(items) == 0 {
		n = 0
	}
	if n > int64(r.limits.Steps) {
		n = int64(r.limits.Steps) + 1
	}
	if err := r.charge(len(items) * int(n)); err != nil {
		return nil, err
	}
	out := make([]Value, 0, len(items)*int(n))
	for range n {
		out = append(out, items...)
	}
	if _, ok := v.(*Tuple); ok {
		return &Tuple{Items: out}, nil
	}
	return &List{out}, nil
}

func numbers(op string, x, y Value) (Value, error) {
	a, okX := asBig(x)
	b, okY := asBig(y)
	if okX && okY && op != "/" && (op != "**" || b.Sign() >= 0) {
		return integers(op, a, b)
	}
	f, _ := asFloat(x)
	g, _ := asFloat(y)
	switch op {
	case "+":
		return f + g, nil
	case "-":
		return f - g, nil
	case "*":
		return f * g, nil
	case "**":
		if f == 0 && g < 0 {
			return nil, raise("ZeroDivisionError", "0.0 cannot be raised to a negative power")
		}
		p := math.Pow(f, g)
		if math.IsNaN(p) && !math.IsNaN(f) && !math.IsNaN(g) {
			return nil, raise("TypeError", "the power is a complex number")
		}
		if math.IsInf(p, 0) && !math.IsInf(f, 0) && !math.IsInf(g, 0) {
			return nil, raise("OverflowError", "(34, 'Numerical result out of range')")
		}
		return p, nil
	}
	if g == 0 {
		if op == "/" && okX && okY {
			return nil, raise("ZeroDivisionError", "division by zero")
		}
		return nil, raise("ZeroDivisionError", "float division by zero")
	}
	if op == "/" {
		if okX && okY {
			f, _ = new(big.Rat).SetFrac(a, b).Float64() // rounded once, as Python divides ints
			return f, nil
		}
		return f / g, nil
	}
	m := math.Mod(f, g)
	if m != 0 && (m < 0) != (g < 0) {
		m += g
	}
	if op == "%" {
		if m == 0 {
			m = math.Copysign(0, g)
		}
		return m, nil
	}
	q := math.Floor((f-m)/g + 0.5)
	return q, nil
}

func integers(op string, a, b *big.Int) (Value, error) {
	out := new(big.Int)
	switch op {
	case "+":
		out.Add(a, b)
	case "-":
		out.Sub(a, b)
	case "*":
		out.Mul(a, b)
	case "**":
		if a.BitLen() > 1 && (!b.IsInt64() || b.Int64() > maxIntBits || int64(a.BitLen()-1)*b.Int64() > maxIntBits) {
			return nil, limit("an int of more than %d bits", maxIntBits)
		}
		if a.BitLen() <= 1 { // 0 and ±1, to any power
			b = new(big.Int).Add(new(big.Int).And(b, big.NewInt(1)), big.NewInt(int64(2*min(b.Sign(), 1))))
		}
		out.Exp(a, b, nil)
	case "//", "%":
		if b.Sign() == 0 {
			return nil, raise("ZeroDivisionError", "integer division or modulo by zero")
		}
		m := new(big.Int)
		out.QuoRem(a, b, m)
		if m.Sign() != 0 && (m.Sign() < 0) != (b.Sign() < 0) {
			m.Add(m, b)
			out.Sub(out, big.NewInt(1))
		}
		if op == "%" {
			out = m
		}
	}
	if out.BitLen() > maxIntBits {
		return nil, limit("an int of more than %d bits", maxIntBits)
	}
	return norm(out), nil
}
