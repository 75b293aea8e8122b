package jinja

import "slices"

// macro is a macro with the scope it was defined in.
type macro struct {
	def   *macroStmt
	scope *scope
}

// call binds the arguments as Jinja does: what is not given is the default, or
// undefined; what is too much goes to varargs and kwargs where the body reads them.
func (m *macro) call(r *run, a *arguments) (Value, error) {
	d := m.def
	s := m.scope.child()
	given := make([]bool, len(d.params))
	for i := range min(len(a.pos), len(d.params)) {
		s.vars[d.params[i]], given[i] = a.pos[i], true
	}
	extra, err := m.keywords(a, s, given)
	if err != nil {
		return nil, err
	}
	if len(a.pos) > len(d.params) && !d.usesVarargs {
		return nil, raise("TypeError", "macro '%s' takes not more than %d argument(s)", d.name, len(d.params))
	}
	if d.usesVarargs {
		s.vars["varargs"] = &Tuple{Items: slices.Clone(a.pos[min(len(a.pos), len(d.params)):])}
	}
	if d.usesKeywords {
		s.vars["kwargs"] = extra
	}
	for i, p := range d.params {
		if given[i] {
			continue
		}
		s.vars[p] = &undefined{"parameter '" + p + "' was not provided"}
		if k := i - (len(d.params) - len(d.defaults)); k >= 0 {
			v, err := r.eval(d.defaults[k], s)
			if err != nil {
				return nil, err
			}
			s.vars[p] = v
		}
	}
	return r.capture(d.body, s)
}

// keywords binds keyword arguments and returns those no parameter takes.
func (m *macro) keywords(a *arguments, s *scope, given []bool) (*Dict, error) {
	d := m.def
	extra := NewDict()
	if d.usesCaller && !slices.Contains(d.params, "caller") {
		s.vars["caller"] = &undefined{"No caller defined"}
	}
	for i, k := range a.names {
		j := slices.Index(d.params, k)
		switch {
		case j >= 0 && given[j]:
			return nil, raise("TypeError", "macro '%s' got multiple values for argument '%s'", d.name, k)
		case j >= 0:
			s.vars[k], given[j] = a.named[i], true
		case k == "caller" && d.usesCaller:
			s.vars[k] = a.named[i]
		case k == "caller":
			return nil, raise("TypeError", "macro '%s' takes no keyword argument 'caller'", d.name)
		case !d.usesKeywords:
			return nil, raise("TypeError", "macro '%s' takes no keyword argument '%s'", d.name, k)
		default:
			extra.Set(k, a.named[i])
		}
	}
	return extra, nil
}

// attr is one of the attributes a macro shows.
func (m *macro) attr(id string) (Value, bool) {
	switch id {
	case "name":
		return m.def.name, true
	case "arguments":
		t := &Tuple{}
		for _, p := range m.def.params {
			t.Items = append(t.Items, p)
		}
		return t, true
	case "catch_kwargs":
		return m.def.usesKeywords, true
	case "catch_varargs":
		return m.def.usesVarargs, true
	case "caller":
		return m.def.usesCaller, true
	}
	return nil, false
}
