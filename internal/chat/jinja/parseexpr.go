package jinja

import (
	"math/big"
	"strconv"
	"strings"
)

// tuple reads expressions separated by commas; one without a comma is itself.
// stop is a name that ends them.
func (p *parser) tuple(conditional bool, stop string) (expr, error) {
	var items []expr
	comma := false
	for {
		if p.tupleEnd(stop) {
			break
		}
		one := p.expression
		if !conditional {
			one = p.or
		}
		x, err := one()
		if err != nil {
			return nil, err
		}
		items = append(items, x)
		if !p.skipOp(",") {
			break
		}
		comma = true
	}
	if !comma {
		if len(items) == 0 {
			return nil, p.unexpected("an expression")
		}
		return items[0], nil
	}
	return &tupleExpr{items}, nil
}

func (p *parser) tupleEnd(stop string) bool {
	switch p.cur().kind {
	case tokVarEnd, tokBlockEnd, tokEOF:
		return true
	}
	return p.isOp(")") || stop != "" && p.isName(stop)
}

// expression reads one with an inline if.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.or()
	for err == nil && p.skipName("if") {
		c := &condition{yes: x}
		p.soft++
		if c.test, err = p.or(); err == nil && p.skipName("else") {
			c.no, err = p.expression()
		}
		p.soft--
		x = c
	}
	return x, err
}

func (p *parser) or() (expr, error) {
	x, err := p.and()
	for err == nil && p.skipName("or") {
		n := &logicExpr{or: true, x: x}
		n.y, err = p.and()
		x = n
	}
	return x, err
}

func (p *parser) and() (expr, error) {
	x, err := p.not()
	for err == nil && p.skipName("and") {
		n := &logicExpr{x: x}
		n.y, err = p.not()
		x = n
	}
	return x, err
}

func (p *parser) not() (expr, error) {
	if !p.skipName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.not()
	return &unaryExpr{"not", x}, err
}

var comparisons = map[string]bool{"==": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}

func (p *parser) compare() (expr, error) {
	x, err := p.sum()
	c := &comparison{x: x}
	for err == nil {
		t := p.cur()
		var op string
		switch {
		case t.kind == tokOp && comparisons[t.text], p.isName("in"):
			op = p.next().text
		case p.isName("not") && p.look().kind == tokName && p.look().text == "in":
			op = "not in"
			p.pos += 2
		}
		if op == "" {
			break
		}
		var y expr
		y, err = p.sum()
		c.ops, c.ys = append(c.ops, op), append(c.ys, y)
	}
	if len(c.ops) == 0 {
		return x, err
	}
	return c, err
}

// chain reads a left-associative chain of operators over sub.
func (p *parser) chain(sub func() (expr, error), ops ...string) (expr, error) {
	x, err := sub()
	for err == nil {
		t := p.cur()
		found := false
		for _, op := range ops {
			found = found || t.kind == tokOp && t.text == op
		}
		if !found {
			return x, nil
		}
		p.next()
		n := &binaryExpr{op: t.text, x: x}
		n.y, err = sub()
		x = n
	}
	return x, err
}

func (p *parser) sum() (expr, error)     { return p.chain(p.concat, "+", "-") }
func (p *parser) product() (expr, error) { return p.chain(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expr, error) {
	return p.chain(func() (expr, error) { return p.unary(true) }, "**")
}

func (p *parser) concat() (expr, error) {
	x, err := p.product()
	c := &concatExpr{[]expr{x}}
	for err == nil && p.skipOp("~") {
		x, err = p.product()
		c.parts = append(c.parts, x)
	}
	if len(c.parts) == 1 {
		return x, err
	}
	return c, err
}

func (p *parser) unary(withFilters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var x expr
	var err error
	if p.isOp("-") || p.isOp("+") {
		n := &unaryExpr{op: p.next().text}
		n.x, err = p.unary(false)
		x = n
	} else {
		x, err = p.primary()
	}
	if err == nil {
		x, err = p.postfix(x)
	}
	if err == nil && withFilters {
		x, err = p.filters(x)
	}
	return x, err
}

var constants = map[string]Value{"true": true, "True": true, "false": false, "False": false, "none": nil, "None": nil}

func (p *parser) primary() (expr, error) {
	t := p.cur()
	switch t.kind {
	case tokName:
		p.next()
		if v, ok := constants[t.text]; ok {
			return &constant{v}, nil
		}
		p.reads(t.text)
		return &name{t.text}, nil
	case tokString:
		var b strings.Builder
		for p.cur().kind == tokString {
			b.WriteString(p.next().text)
		}
		return &constant{b.String()}, nil
	case tokInt:
		p.next()
		b, ok := new(big.Int).SetString(strings.ReplaceAll(strings.ToLower(t.text), "_", ""), intBase(t.text))
		if !ok || b.BitLen() > maxIntBits {
			return nil, p.fail("bad number %q", clip(t.text))
		}
		return &constant{norm(b)}, nil
	case tokFloat:
		p.next()
		f, _ := strconv.ParseFloat(strings.ReplaceAll(t.text, "_", ""), 64) // too large is an infinity, as in Python
		return &constant{f}, nil
	}
	switch {
	case p.skipOp("("):
		return p.parenthesized()
	case p.skipOp("["):
		items, err := p.listed("]")
		return &listExpr{items}, err
	case p.skipOp("{"):
		return p.dict()
	}
	return nil, p.unexpected("an expression")
}

// intBase is 0 (read the prefix) but for decimals, whose zeros are no prefix.
func intBase(s string) int {
	if len(s) > 1 && s[0] == '0' && strings.ContainsAny(s[1:2], "xXoObB") {
		return 0
	}
	return 10
}

func (p *parser) parenthesized() (expr, error) {
	if p.skipOp(")") {
		return &tupleExpr{}, nil
	}
	x, err := p.tuple(true, "")
	if err != nil {
		return nil, err
	}
	return x, p.expectOp(")")
}

// listed reads expressions up to the closing bracket.
func (p *parser) listed(end string) ([]expr, error) {
	var items []expr
	for !p.skipOp(end) {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.skipOp(end) {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, x)
	}
	return items, nil
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{}
	for !p.skipOp("}") {
		if len(d.keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.skipOp("}") {
				break
			}
		}
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp(":"); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.vals = append(d.keys, k), append(d.vals, v)
	}
	return d, nil
}
