package jinja

type testFunc = func(r *run, v Value, a *arguments) (Value, error)

func noTest(id string) error { return raise("TemplateAssertionError", "No test named '%s'.", clip(id)) }

func (r *run) test(id string, v Value, a *arguments) (Value, error) {
	f, ok := r.tests[id]
	if !ok {
		return nil, noTest(id)
	}
	if err := r.charge(1); err != nil {
		return nil, err
	}
	return f(r, v, a)
}

var tests = map[string]testFunc{
	"defined":   is(func(v Value) bool { _, missing := v.(*undefined); return !missing }),
	"undefined": is(func(v Value) bool { _, missing := v.(*undefined); return missing }),
	"none":      is(func(v Value) bool { return v == nil }),
	"true":      is(func(v Value) bool { return v == true }),
	"false":     is(func(v Value) bool { return v == false }),
	"boolean":   is(func(v Value) bool { _, ok := v.(bool); return ok }),
	"integer":   is(isInteger),
	"float":     is(func(v Value) bool { _, ok := v.(float64); return ok }),
	"number":    is(isNumber),
	"string":    is(func(v Value) bool { _, ok := asString(v); return ok }),
	"mapping":   is(func(v Value) bool { _, ok := v.(*Dict); return ok }),
	"sequence":  is(isSequence),
	"iterable":  is(isIterable),
	"callable":  is(isCallable),
	"escaped":   is(func(v Value) bool { _, ok := v.(markup); return ok }),
	"odd":       remainder(1), "even": remainder(0), "divisibleby": divisibleBy,
	"lower": textTest(isLowerText), "upper": textTest(isUpperText),
	"sameas": sameAs, "in": compareTest("in"), "filter": nameTest(func(r *run, id string) bool { return r.filters[id] != nil }),
	"test": nameTest(func(r *run, id string) bool { return r.tests[id] != nil }),
	"==":   compareTest("=="), "eq": compareTest("=="), "equalto": compareTest("=="), "!=": compareTest("!="), "ne": compareTest("!="),
	"<": compareTest("<"), "lt": compareTest("<"), "lessthan": compareTest("<"), "<=": compareTest("<="), "le": compareTest("<="),
	">": compareTest(">"), "gt": compareTest(">"), "greaterthan": compareTest(">"), ">=": compareTest(">="), "ge": compareTest(">="),
}

func is(f func(Value) bool) testFunc {
	return func(_ *run, v Value, a *arguments) (Value, error) { return f(v), a.none("test") }
}

func isInteger(v Value) bool {
	_, isBool := v.(bool)
	_, ok := asBig(v)
	return ok && !isBool
}

// isSequence is Jinja's: what has a length and subscripts, dicts and undefined too.
func isSequence(v Value) bool {
	switch v.(type) {
	case string, markup, *List, *Tuple, *Dict, *rangeValue, *undefined:
		return true
	}
	return false
}

func isIterable(v Value) bool {
	switch v.(type) {
	case *generator, *view, *loop:
		return true
	}
	return isSequence(v)
}

func isCallable(v Value) bool {
	switch v.(type) {
	case *function, *macro, *loop, *undefined:
		return true
	}
	return false
}

func compareTest(op string) testFunc {
	return func(r *run, v Value, a *arguments) (Value, error) {
		p, _, err := a.bind(op, "other")
		if err != nil {
			return nil, err
		}
		return r.compare(op, v, p[0])
	}
}

func remainder(want int64) testFunc {
	return func(r *run, v Value, a *arguments) (Value, error) {
		if err := a.none("test"); err != nil {
			return nil, err
		}
		m, err := r.binary("%", v, int64(2))
		if err != nil {
			return nil, err
		}
		return r.equal(m, want)
	}
}

func divisibleBy(r *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("divisibleby", "num")
	if err != nil {
		return nil, err
	}
	m, err := r.binary("%", v, p[0])
	if err != nil {
		return nil, err
	}
	return r.equal(m, int64(0))
}

func textTest(f func(string) bool) testFunc {
	return func(r *run, v Value, a *arguments) (Value, error) {
		s, err := r.str(v)
		if err != nil {
			return nil, err
		}
		return f(s), a.none("test")
	}
}

// sameAs is "is": identity of objects, equality of small values of one type.
func sameAs(_ *run, v Value, a *arguments) (Value, error) {
	p, _, err := a.bind("sameas", "other")
	if err != nil {
		return nil, err
	}
	return v == p[0], nil
}

func nameTest(has func(*run, string) bool) testFunc {
	return func(r *run, v Value, a *arguments) (Value, error) {
		s, err := textArg("test", v)
		if err != nil {
			return false, a.none("test")
		}
		return has(r, s), a.none("test")
	}
}
