package jinja

func (n *output) exec(r *run, s *scope, w *writer) error {
	for _, p := range n.parts {
		text := p.data
		if p.x != nil {
			v, err := r.eval(p.x, s)
			if err != nil {
				return err
			}
			if text, err = r.str(v); err != nil {
				return err
			}
		}
		if err := w.write(text); err != nil {
			return err
		}
	}
	return nil
}

func (n *ifStmt) exec(r *run, s *scope, w *writer) error {
	for i, test := range n.tests {
		v, err := r.eval(test, s)
		if err != nil {
			return err
		}
		if truth(v) {
			return r.body(n.bodies[i], s, w)
		}
	}
	return r.body(n.orElse, s, w)
}

func (n *exprStmt) exec(*run, *scope, *writer) error { return n.leave }

func (n *setStmt) exec(r *run, s *scope, _ *writer) error {
	v, err := r.eval(n.x, s)
	if err != nil {
		return err
	}
	return r.assign(n.target, v, s)
}

// assign gives a target its value in scope s.
func (r *run) assign(t target, v Value, s *scope) error {
	switch {
	case t.attr != "":
		ns, _ := s.lookup(t.name)
		if n, ok := ns.(*namespace); ok {
			n.d.Set(t.attr, v)
			return nil
		}
		return raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
	case t.many == nil:
		s.vars[t.name] = v
		return nil
	}
	items, err := r.items(v)
	if err != nil {
		return err
	}
	if len(items) < len(t.many) {
		return raise("ValueError", "not enough values to unpack (expected %d, got %d)", len(t.many), len(items))
	}
	if len(items) > len(t.many) {
		return raise("ValueError", "too many values to unpack (expected %d)", len(t.many))
	}
	for i, one := range t.many {
		if err := r.assign(one, items[i], s); err != nil {
			return err
		}
	}
	return nil
}

// filtered passes a block's text through the block's filters.
func (r *run) filtered(text string, f expr, s *scope) (Value, error) {
	if f == nil {
		return text, nil
	}
	in := s.child()
	in.vars[blockText] = text
	return r.eval(f, in)
}

// blockText is the variable that a filter without an operand reads; no
// template can name it.
const blockText = "|"

func (n *setBlock) exec(r *run, s *scope, _ *writer) error {
	text, err := r.capture(n.body, s.child())
	if err != nil {
		return err
	}
	v, err := r.filtered(text, n.filter, s)
	if err != nil {
		return err
	}
	return r.assign(n.target, v, s)
}

func (n *filterBlock) exec(r *run, s *scope, w *writer) error {
	text, err := r.capture(n.body, s.child())
	if err != nil {
		return err
	}
	v, err := r.filtered(text, n.filter, s)
	if err != nil {
		return err
	}
	if text, err = r.str(v); err != nil {
		return err
	}
	return w.write(text)
}

func (n *withStmt) exec(r *run, s *scope, w *writer) error {
	in := s.child()
	for i, t := range n.targets {
		v, err := r.eval(n.values[i], s)
		if err != nil {
			return err
		}
		if err := r.assign(t, v, in); err != nil {
			return err
		}
	}
	return r.body(n.body, in, w)
}

func (n *generation) exec(r *run, s *scope, w *writer) error {
	start := len(w.b)
	if err := r.body(n.body, s.child(), w); err != nil {
		return err
	}
	if !w.top {
		r.unplaced = true
		return nil
	}
	w.spans = append(w.spans, Span{start, len(w.b)})
	return nil
}

func (n *macroStmt) exec(_ *run, s *scope, _ *writer) error {
	s.vars[n.name] = &macro{def: n, scope: s}
	return nil
}

func (n *callBlock) exec(r *run, s *scope, w *writer) error {
	c := n.call.(*call)
	fn, err := r.eval(c.fn, s)
	if err != nil {
		return err
	}
	args, err := r.arguments(&c.args, s)
	if err != nil {
		return err
	}
	args.names = append(args.names, "caller")
	args.named = append(args.named, &macro{def: n.macro, scope: s})
	v, err := r.call(fn, args)
	if err != nil {
		return err
	}
	text, err := r.str(v)
	if err != nil {
		return err
	}
	return w.write(text)
}
