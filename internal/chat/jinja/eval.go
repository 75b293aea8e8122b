package jinja

func (n *constant) eval(*run, *scope) (Value, error) { return n.v, nil }

func (n *name) eval(_ *run, s *scope) (Value, error) {
	if v, ok := s.lookup(n.id); ok {
		return v, nil
	}
	return &undefined{"'" + n.id + "' is undefined"}, nil
}

func (r *run) all(list []expr, s *scope) ([]Value, error) {
	out := make([]Value, len(list))
	for i, x := range list {
		v, err := r.eval(x, s)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (n *listExpr) eval(r *run, s *scope) (Value, error) {
	items, err := r.all(n.items, s)
	return &List{items}, err
}

func (n *tupleExpr) eval(r *run, s *scope) (Value, error) {
	items, err := r.all(n.items, s)
	return &Tuple{Items: items}, err
}

func (n *dictExpr) eval(r *run, s *scope) (Value, error) {
	d := NewDict()
	for i, k := range n.keys {
		key, err := r.eval(k, s)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(n.vals[i], s)
		if err != nil {
			return nil, err
		}
		if err := d.set(key, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (n *unaryExpr) eval(r *run, s *scope) (Value, error) {
	v, err := r.eval(n.x, s)
	if err != nil {
		return nil, err
	}
	if n.op == "not" {
		return !truth(v), nil
	}
	return unary(n.op, v)
}

func (n *binaryExpr) eval(r *run, s *scope) (Value, error) {
	x, err := r.eval(n.x, s)
	if err != nil {
		return nil, err
	}
	y, err := r.eval(n.y, s)
	if err != nil {
		return nil, err
	}
	return r.binary(n.op, x, y)
}

func (n *logicExpr) eval(r *run, s *scope) (Value, error) {
	x, err := r.eval(n.x, s)
	if err != nil || truth(x) == n.or {
		return x, err
	}
	return r.eval(n.y, s)
}

func (n *concatExpr) eval(r *run, s *scope) (Value, error) {
	w := &writer{r: r}
	for _, p := range n.parts {
		v, err := r.eval(p, s)
		if err != nil {
			return nil, err
		}
		text, err := r.str(v)
		if err != nil {
			return nil, err
		}
		if err := w.write(text); err != nil {
			return nil, err
		}
	}
	return string(w.b), nil
}

func (n *comparison) eval(r *run, s *scope) (Value, error) {
	x, err := r.eval(n.x, s)
	if err != nil {
		return nil, err
	}
	for i, op := range n.ops {
		y, err := r.eval(n.ys[i], s)
		if err != nil {
			return nil, err
		}
		ok, err := r.compare(op, x, y)
		if err != nil || !ok {
			return false, err
		}
		x = y
	}
	return true, nil
}

func (n *condition) eval(r *run, s *scope) (Value, error) {
	v, err := r.eval(n.test, s)
	if err != nil {
		return nil, err
	}
	if truth(v) {
		return r.eval(n.yes, s)
	}
	if n.no == nil {
		return &undefined{"the inline if-expression evaluated to false and no else section was defined."}, nil
	}
	return r.eval(n.no, s)
}

func (n *attribute) eval(r *run, s *scope) (Value, error) {
	v, err := r.eval(n.x, s)
	if err != nil {
		return nil, err
	}
	return getAttr(v, n.name)
}

func (n *index) eval(r *run, s *scope) (Value, error) {
	v, err := r.eval(n.x, s)
	if err != nil {
		return nil, err
	}
	if c, ok := n.key.(*slice); ok {
		return c.cut(r, s, v)
	}
	k, err := r.eval(n.key, s)
	if err != nil {
		return nil, err
	}
	return r.getItem(v, k)
}

// eval is reached by a slice within a tuple of subscripts, which no type has.
func (n *slice) eval(*run, *scope) (Value, error) {
	return nil, raise("TypeError", "a slice stands alone between brackets")
}

func (n *filter) eval(r *run, s *scope) (Value, error) {
	var v Value
	var err error
	if n.x == nil {
		v, _ = s.lookup(blockText)
	} else if v, err = r.eval(n.x, s); err != nil {
		return nil, err
	}
	a, err := r.arguments(&n.args, s)
	if err != nil {
		return nil, err
	}
	return r.filter(n.name, v, a)
}

func (n *test) eval(r *run, s *scope) (Value, error) {
	v, err := r.eval(n.x, s)
	if err != nil {
		return nil, err
	}
	a, err := r.arguments(&n.args, s)
	if err != nil {
		return nil, err
	}
	return r.test(n.name, v, a)
}

func (n *call) eval(r *run, s *scope) (Value, error) {
	fn, err := r.eval(n.fn, s)
	if err != nil {
		return nil, err
	}
	a, err := r.arguments(&n.args, s)
	if err != nil {
		return nil, err
	}
	return r.call(fn, a)
}

func (r *run) arguments(c *callArgs, s *scope) (*arguments, error) {
	pos, err := r.all(c.pos, s)
	if err != nil {
		return nil, err
	}
	named, err := r.all(c.named, s)
	if err != nil {
		return nil, err
	}
	a := &arguments{pos: pos, names: append([]string(nil), c.names...), named: named}
	if c.star != nil {
		v, err := r.eval(c.star, s)
		if err != nil {
			return nil, err
		}
		more, err := r.items(v)
		if err != nil {
			return nil, err
		}
		a.pos = append(a.pos, more...)
	}
	if c.kwstar != nil {
		v, err := r.eval(c.kwstar, s)
		if err != nil {
			return nil, err
		}
		if err := a.spread(v); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// spread adds the items of a dict as keyword arguments.
func (a *arguments) spread(v Value) error {
	d, ok := v.(*Dict)
	if !ok {
		return raise("TypeError", "argument after ** must be a mapping, not %s", typeName(v))
	}
	for i, k := range d.keys {
		s, ok := k.(string)
		if !ok {
			return raise("TypeError", "keywords must be strings")
		}
		a.names, a.named = append(a.names, s), append(a.named, d.vals[i])
	}
	return nil
}

func (r *run) call(fn Value, a *arguments) (Value, error) {
	defer r.leave()
	if err := r.enter(); err != nil {
		return nil, err
	}
	switch f := fn.(type) {
	case *function:
		return f.call(r, a)
	case *macro:
		return f.call(r, a)
	case *loop:
		return f.call(a)
	case *undefined:
		return nil, raise("UndefinedError", "%s", f.msg)
	}
	return nil, raise("TypeError", "'%s' object is not callable", typeName(fn))
}
