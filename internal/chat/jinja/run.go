package jinja

import (
	"errors"
	"time"
)

// Limits bound one rendering. Zero fields take DefaultLimits'.
type Limits struct {
	Steps  int // expressions and statements evaluated, items visited and 16-byte pieces of text made
	Output int // bytes of the output, and of any one string
	Depth  int // of expressions, calls and values within one another
}

// DefaultLimits render a conversation of some megabytes and stop within seconds.
var DefaultLimits = Limits{Steps: 20_000_000, Output: 32 << 20, Depth: 600}

// maxIntBits bounds an int: about the 4300 digits at which Python stops printing.
const maxIntBits = 14300

// Options are what a rendering needs beside the variables.
type Options struct {
	Now    time.Time // what strftime_now prints; zero makes it an error
	Limits Limits
}

// Span is the half-open range of bytes [Start, End) of a rendered text.
type Span struct{ Start, End int }

// Result is a rendered template.
type Result struct {
	Text        string
	Generations []Span // what the {% generation %} blocks wrote, in order
	// Unplaced reports a generation block inside a macro, call, set or filter
	// block, whose text has no place of its own in Text.
	Unplaced bool
}

// Template is a parsed template; it does not change.
type Template struct {
	body      []stmt
	generates bool
}

// Parse reads a template. Errors are *Error with the line.
func Parse(src string) (*Template, error) {
	toks, err := lex(src)
	if err != nil {
		return nil, err
	}
	t := &Template{}
	for i, tok := range toks[1:] {
		if tok.kind == tokName && tok.text == "generation" && toks[i].kind == tokBlockBegin {
			t.generates = true
		}
	}
	p := &parser{toks: toks}
	t.body, err = p.body()
	return t, err
}

// Generates reports whether the template has a {% generation %} block.
func (t *Template) Generates() bool { return t.generates }

// Render runs the template with its variables.
func (t *Template) Render(vars *Dict, o Options) (*Result, error) {
	r := &run{limits: o.Limits, now: o.Now, filters: filters, tests: tests}
	r.limits.fill()
	r.steps = r.limits.Steps
	root := &scope{vars: r.globals()}
	if vars != nil {
		for i, k := range vars.keys {
			if s, ok := k.(string); ok {
				root.vars[s] = vars.vals[i]
			}
		}
	}
	w := &writer{r: r, top: true}
	if err := r.body(t.body, &scope{parent: root, vars: map[string]Value{}}, w); err != nil {
		return nil, err
	}
	return &Result{Text: string(w.b), Generations: w.spans, Unplaced: r.unplaced}, nil
}

func (l *Limits) fill() {
	if l.Steps <= 0 {
		l.Steps = DefaultLimits.Steps
	}
	if l.Output <= 0 {
		l.Output = DefaultLimits.Output
	}
	if l.Depth <= 0 {
		l.Depth = DefaultLimits.Depth
	}
}

// run is one rendering.
type run struct {
	limits   Limits
	steps    int // left
	depth    int
	now      time.Time
	filters  map[string]filterFunc
	tests    map[string]testFunc
	unplaced bool
}

var (
	errBreak    = errors.New("break outside a loop")
	errContinue = errors.New("continue outside a loop")
)

// charge takes n steps.
func (r *run) charge(n int) error {
	if r.steps -= n; r.steps < 0 || n < 0 {
		r.steps = 0
		return limit("the template takes more than %d steps", r.limits.Steps)
	}
	return nil
}

// text charges for a string of n bytes before it is made.
func (r *run) text(n int) error {
	if n < 0 || n > r.limits.Output {
		return limit("the template makes a text of more than %d bytes", r.limits.Output)
	}
	return r.charge(n/16 + 1)
}

func (r *run) enter() error {
	if r.depth++; r.depth > r.limits.Depth {
		return limit("the template calls or nests deeper than %d", r.limits.Depth)
	}
	return r.charge(1)
}

func (r *run) leave() { r.depth-- }

func (r *run) eval(x expr, s *scope) (Value, error) {
	defer r.leave()
	if err := r.enter(); err != nil {
		return nil, err
	}
	return x.eval(r, s)
}

func (r *run) body(list []stmt, s *scope, w *writer) error {
	for _, st := range list {
		if err := r.charge(1); err != nil {
			return at(err, st.at())
		}
		if err := st.exec(r, s, w); err != nil {
			return at(err, st.at())
		}
	}
	return nil
}

// capture runs a body and returns its text.
func (r *run) capture(list []stmt, s *scope) (string, error) {
	defer r.leave()
	if err := r.enter(); err != nil {
		return "", err
	}
	w := &writer{r: r}
	err := r.body(list, s, w)
	return string(w.b), err
}

// scope holds the variables of a block; a lookup goes outwards.
type scope struct {
	parent *scope
	vars   map[string]Value
}

func (s *scope) child() *scope { return &scope{parent: s, vars: map[string]Value{}} }

func (s *scope) lookup(id string) (Value, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[id]; ok {
			return v, true
		}
	}
	return nil, false
}

// writer gathers text within the limits.
type writer struct {
	r     *run
	b     []byte
	top   bool // this is the output itself
	spans []Span
}

func (w *writer) write(s string) error {
	if len(w.b)+len(s) > w.r.limits.Output {
		return limit("the template makes a text of more than %d bytes", w.r.limits.Output)
	}
	if err := w.r.charge(len(s)/16 + 1); err != nil {
		return err
	}
	w.b = append(w.b, s...)
	return nil
}
