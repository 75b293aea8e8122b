package jinja

import "math/big"

func (p *parser) postfix(x expr) (expr, error) {
	for {
		var err error
		switch {
		case p.skipOp("."):
			x, err = p.afterPoint(x)
		case p.skipOp("["):
			x, err = p.subscript(x)
		case p.skipOp("("):
			n := &call{fn: x}
			n.args, err = p.arguments()
			x = n
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) afterPoint(x expr) (expr, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		return &attribute{x, t.text}, nil
	case tokInt:
		b, ok := new(big.Int).SetString(t.text, 10)
		if ok && b.IsInt64() {
			return &index{x, &constant{b.Int64()}}, nil
		}
	}
	p.pos--
	return nil, p.unexpected("a name or number")
}

func (p *parser) subscript(x expr) (expr, error) {
	var keys []expr
	for {
		if len(keys) > 0 {
			if p.skipOp("]") {
				break
			}
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		k, err := p.subscriptKey()
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 1 {
		return &index{x, keys[0]}, nil
	}
	return &index{x, &tupleExpr{keys}}, nil
}

func (p *parser) subscriptKey() (expr, error) {
	var parts [3]expr
	colons := 0
	for !p.isOp("]") && !p.isOp(",") {
		if p.skipOp(":") {
			if colons++; colons > 2 {
				return nil, p.unexpected("']'")
			}
			continue
		}
		if parts[colons] != nil {
			return nil, p.unexpected("']'")
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		parts[colons] = x
	}
	if colons == 0 {
		if parts[0] == nil {
			return nil, p.unexpected("an expression")
		}
		return parts[0], nil
	}
	return &slice{parts[0], parts[1], parts[2]}, nil
}

// arguments reads those of a call, after its "(".
func (p *parser) arguments() (callArgs, error) {
	var a callArgs
	for first := true; !p.skipOp(")"); first = false {
		if !first {
			if err := p.expectOp(","); err != nil {
				return a, err
			}
			if p.skipOp(")") {
				break
			}
		}
		if err := p.argument(&a); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (p *parser) argument(a *callArgs) (err error) {
	switch {
	case a.star == nil && a.kwstar == nil && p.skipOp("*"):
		a.star, err = p.expression()
	case a.kwstar == nil && p.skipOp("**"):
		a.kwstar, err = p.expression()
	case a.kwstar == nil && p.cur().kind == tokName && p.look().kind == tokOp && p.look().text == "=":
		a.names = append(a.names, p.next().text)
		p.next()
		var x expr
		x, err = p.expression()
		a.named = append(a.named, x)
	case a.star == nil && a.kwstar == nil && len(a.names) == 0:
		var x expr
		x, err = p.expression()
		a.pos = append(a.pos, x)
	default:
		return p.fail("invalid syntax for function call expression")
	}
	return err
}

// filters reads the filters, tests and calls that follow x.
func (p *parser) filters(x expr) (expr, error) {
	for {
		var err error
		switch {
		case p.skipOp("|"):
			x, err = p.filterStart(x)
		case p.isName("is") && x != nil:
			x, err = p.test(x)
		case x != nil && p.skipOp("("):
			n := &call{fn: x}
			n.args, err = p.arguments()
			x = n
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// dotted reads a name with points in it.
func (p *parser) dotted() (string, error) {
	s, err := p.expectName()
	for err == nil && p.skipOp(".") {
		var more string
		more, err = p.expectName()
		s += "." + more
	}
	return s, err
}

func (p *parser) filterStart(x expr) (expr, error) {
	id, err := p.dotted()
	if err != nil {
		return nil, err
	}
	f := &filter{x: x, name: id}
	if _, ok := filters[id]; !ok && p.soft == 0 {
		return nil, at(noFilter(id), p.cur().line)
	}
	if p.skipOp("(") {
		f.args, err = p.arguments()
	}
	return f, err
}

func (p *parser) test(x expr) (expr, error) {
	p.next()
	negated := p.skipName("not")
	id, err := p.dotted()
	if err != nil {
		return nil, err
	}
	n := &test{x: x, name: id}
	if _, ok := tests[id]; !ok && p.soft == 0 {
		return nil, at(noTest(id), p.cur().line)
	}
	if p.skipOp("(") {
		n.args, err = p.arguments()
	} else if p.testOperand() {
		if p.isName("is") {
			return nil, p.fail("You cannot chain multiple tests with is")
		}
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		n.args.pos = []expr{arg}
	}
	if err != nil {
		return nil, err
	}
	if negated {
		return &unaryExpr{"not", n}, nil
	}
	return n, nil
}

// testOperand reports whether a test's argument follows without parentheses.
func (p *parser) testOperand() bool {
	t := p.cur()
	switch t.kind {
	case tokString, tokInt, tokFloat:
		return true
	case tokName:
		return t.text != "else" && t.text != "or" && t.text != "and"
	case tokOp:
		return t.text == "[" || t.text == "{"
	}
	return false
}
