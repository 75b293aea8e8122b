package jinja

// closed reads "%}", a body and its end tag up to "%}".
func (p *parser) closed(end string) ([]stmt, error) {
	if err := p.endBlock(); err != nil {
		return nil, err
	}
	body, err := p.body(end)
	if err != nil {
		return nil, err
	}
	p.next()
	return body, p.endBlock()
}

func (p *parser) ifTag(l line) (stmt, error) {
	p.soft++
	defer func() { p.soft-- }()
	n := &ifStmt{line: l}
	for {
		test, err := p.tuple(false, "")
		if err != nil {
			return nil, err
		}
		if err := p.endBlock(); err != nil {
			return nil, err
		}
		body, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		n.tests, n.bodies = append(n.tests, test), append(n.bodies, body)
		switch p.next().text {
		case "elif":
			continue
		case "else":
			n.orElse, err = p.closed("endif")
			return n, err
		}
		return n, p.endBlock()
	}
}

func (p *parser) forTag(l line) (stmt, error) {
	n := &forStmt{line: l}
	var err error
	if n.target, err = p.targets("in"); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		return nil, p.unexpected("'in'")
	}
	if n.iter, err = p.tuple(false, "recursive"); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if n.filter, err = p.expression(); err != nil {
			return nil, err
		}
	}
	n.recursive = p.skipName("recursive")
	if err := p.endBlock(); err != nil {
		return nil, err
	}
	p.loops++
	n.body, err = p.body("endfor", "else")
	p.loops--
	if err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		n.orElse, err = p.closed("endfor")
		return n, err
	}
	return n, p.endBlock()
}

func (p *parser) leaveTag(l line, tag string) (stmt, error) {
	if p.loops == 0 {
		return nil, p.fail("%q outside a loop", tag)
	}
	n := &exprStmt{l, errBreak}
	if tag == "continue" {
		n.leave = errContinue
	}
	return n, p.endBlock()
}

// targets reads what is assigned to, names separated by commas, up to the name
// stop or an operator.
func (p *parser) targets(stop string) (target, error) {
	var many []target
	comma := false
	for {
		if p.cur().kind != tokName && !p.isOp("(") || p.isName(stop) && len(many) > 0 {
			break
		}
		one, err := p.oneTarget()
		if err != nil {
			return target{}, err
		}
		many = append(many, one)
		if !p.skipOp(",") {
			break
		}
		comma = true
	}
	if len(many) == 0 {
		return target{}, p.unexpected("a name")
	}
	if !comma {
		return many[0], nil
	}
	return target{many: many}, nil
}

func (p *parser) oneTarget() (target, error) {
	if p.skipOp("(") {
		if err := p.enter(); err != nil {
			return target{}, err
		}
		defer p.leave()
		t, err := p.targets("")
		if err != nil {
			return t, err
		}
		return t, p.expectOp(")")
	}
	id := p.next().text
	if reserved[id] {
		return target{}, p.fail("cannot assign to %q", id)
	}
	return target{name: id}, nil
}

var reserved = map[string]bool{"true": true, "false": true, "none": true, "True": true, "False": true, "None": true}

func (p *parser) setTag(l line) (stmt, error) {
	var t target
	var err error
	if p.cur().kind == tokName && p.look().kind == tokOp && p.look().text == "." {
		t.name = p.next().text
		p.next()
		p.reads(t.name)
		if t.attr, err = p.expectName(); err != nil {
			return nil, err
		}
	} else if t, err = p.targets(""); err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		x, err := p.tuple(true, "")
		if err != nil {
			return nil, err
		}
		return &setStmt{l, t, x}, p.endBlock()
	}
	n := &setBlock{line: l, target: t}
	if p.isOp("|") {
		if n.filter, err = p.filters(nil); err != nil {
			return nil, err
		}
	}
	loops := p.loops
	p.loops = 0
	n.body, err = p.closed("endset")
	p.loops = loops
	return n, err
}

func (p *parser) withTag(l line) (stmt, error) {
	n := &withStmt{line: l}
	for p.cur().kind != tokBlockEnd {
		if len(n.targets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		t, err := p.oneTargetChecked()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		n.targets, n.values = append(n.targets, t), append(n.values, x)
	}
	var err error
	n.body, err = p.closed("endwith")
	return n, err
}

func (p *parser) oneTargetChecked() (target, error) {
	if p.cur().kind != tokName && !p.isOp("(") {
		return target{}, p.unexpected("a name")
	}
	return p.oneTarget()
}

// macroBody reads a macro's body, and notes which special names it reads.
func (p *parser) macroBody(m *macroStmt, end string) error {
	outer, loops := p.names, p.loops
	p.names, p.loops = map[string]bool{}, 0
	var err error
	m.body, err = p.closed(end)
	m.usesCaller, m.usesVarargs, m.usesKeywords = p.names["caller"], p.names["varargs"], p.names["kwargs"]
	for n := range p.names {
		if outer != nil {
			outer[n] = true
		}
	}
	p.names, p.loops = outer, loops
	return err
}

func (p *parser) reads(id string) {
	if p.names != nil {
		p.names[id] = true
	}
}

func (p *parser) macroTag(l line) (stmt, error) {
	m := &macroStmt{line: l}
	var err error
	if m.name, err = p.expectName(); err != nil {
		return nil, err
	}
	if err := p.signature(m); err != nil {
		return nil, err
	}
	return m, p.macroBody(m, "endmacro")
}

func (p *parser) signature(m *macroStmt) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for len(m.params) == 0 || p.skipOp(",") {
		if p.isOp(")") {
			break
		}
		id, err := p.expectName()
		if err != nil {
			return err
		}
		m.params = append(m.params, id)
		if p.skipOp("=") {
			x, err := p.expression()
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, x)
		} else if len(m.defaults) > 0 {
			return p.fail("non-default argument follows default argument")
		}
	}
	return p.expectOp(")")
}

func (p *parser) callTag(l line) (stmt, error) {
	n := &callBlock{line: l, macro: &macroStmt{line: l}}
	if p.isOp("(") {
		if err := p.signature(n.macro); err != nil {
			return nil, err
		}
	}
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	c, ok := x.(*call)
	if !ok {
		return nil, p.fail("expected call")
	}
	n.call = c
	return n, p.macroBody(n.macro, "endcall")
}

func (p *parser) filterTag(l line) (stmt, error) {
	f, err := p.filterStart(nil)
	if err != nil {
		return nil, err
	}
	n := &filterBlock{line: l}
	if n.filter, err = p.filters(f); err != nil {
		return nil, err
	}
	loops := p.loops
	p.loops = 0
	n.body, err = p.closed("endfilter")
	p.loops = loops
	return n, err
}

func (p *parser) generationTag(l line) (stmt, error) {
	loops := p.loops
	p.loops = 0
	body, err := p.closed("endgeneration")
	p.loops = loops
	return &generation{l, body}, err
}
