package jinja

// bind puts the arguments in the order of the parameters; a parameter that ends
// in "=" may be left out. What was left out is nil
// and given says so.
func (a *arguments) bind(fn string, ps ...string) (vals []Value, given []bool, err error) {
	vals, given = make([]Value, len(ps)), make([]bool, len(ps))
	if len(a.pos) > len(ps) {
		return nil, nil, raise("TypeError", "%s() takes at most %d arguments (%d given)", fn, len(ps), len(a.pos))
	}
	for i, v := range a.pos {
		vals[i], given[i] = v, true
	}
	for i, k := range a.names {
		found := false
		for j, p := range ps {
			if p != k && p != k+"=" {
				continue
			}
			if given[j] {
				return nil, nil, raise("TypeError", "%s() got multiple values for argument '%s'", fn, k)
			}
			vals[j], given[j], found = a.named[i], true, true
		}
		if !found {
			return nil, nil, raise("TypeError", "%s() got an unexpected keyword argument '%s'", fn, clip(k))
		}
	}
	for j, p := range ps {
		if !given[j] && p[len(p)-1] != '=' {
			return nil, nil, raise("TypeError", "%s() missing required argument: '%s'", fn, p)
		}
	}
	return vals, given, nil
}

// none refuses arguments where there are none to give.
func (a *arguments) none(fn string) error {
	_, _, err := a.bind(fn)
	return err
}

// intArg reads an int argument.
func intArg(fn string, v Value) (int, error) {
	i, ok := asInt(v)
	if !ok {
		return 0, raise("TypeError", "%s(): '%s' object cannot be interpreted as an integer", fn, typeName(v))
	}
	return int(min(max(i, -1<<40), 1<<40)), nil
}

// textArg reads a str argument.
func textArg(fn string, v Value) (string, error) {
	s, ok := asString(v)
	if !ok {
		return "", raise("TypeError", "%s() argument must be str, not %s", fn, typeName(v))
	}
	return s, nil
}
