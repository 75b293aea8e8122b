package jinja

import (
	"errors"
	"fmt"
)

// loop is the variable of a for block. It reads its iterable as it goes, and
// one item ahead only when asked for what comes next, so that a filter on the
// loop sees what the body has done.
type loop struct {
	r        *run
	next     func() (Value, bool, error)
	length   int // -1 until known
	index0   int
	depth0   int
	before   Value
	current  Value
	after    Value
	hasAfter bool
	ended    bool // there is no item after current
	changed  *Tuple
	recurse  func(iter Value, depth int) (string, error) // nil unless recursive
}

func (n *forStmt) exec(r *run, s *scope, w *writer) error {
	iter, err := r.eval(n.iter, s)
	if err != nil {
		return err
	}
	return n.run(r, s, w, iter, 0)
}

func (n *forStmt) run(r *run, s *scope, w *writer, iter Value, depth int) error {
	defer r.leave()
	if err := r.enter(); err != nil {
		return err
	}
	l, err := n.start(r, s, iter, depth)
	if err != nil {
		return err
	}
	if n.recursive {
		l.recurse = func(iter Value, depth int) (string, error) {
			in := &writer{r: r}
			err := n.run(r, s, in, iter, depth)
			return string(in.b), err
		}
	}
	for {
		ok, err := l.step()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		in := s.child()
		in.vars["loop"] = l
		if err := r.assign(n.target, l.current, in); err != nil {
			return err
		}
		err = r.body(n.body, in, w)
		if errors.Is(err, errBreak) {
			break
		}
		if err != nil && !errors.Is(err, errContinue) {
			return err
		}
	}
	if l.index0 < 0 {
		return r.body(n.orElse, s.child(), w)
	}
	return nil
}

// start opens the iterable, behind the loop's own filter.
func (n *forStmt) start(r *run, s *scope, iter Value, depth int) (*loop, error) {
	next, size, err := r.iterate(iter)
	if err != nil {
		return nil, err
	}
	l := &loop{r: r, next: next, length: size, index0: -1, depth0: depth}
	if n.filter == nil {
		return l, nil
	}
	l.length = -1
	l.next = func() (Value, bool, error) {
		for {
			v, ok, err := next()
			if err != nil || !ok {
				return nil, false, err
			}
			in := s.child()
			if err := r.assign(n.target, v, in); err != nil {
				return nil, false, err
			}
			keep, err := r.eval(n.filter, in)
			if err != nil {
				return nil, false, err
			}
			if truth(keep) {
				return v, true, nil
			}
		}
	}
	return l, nil
}

func (l *loop) peek() error {
	if l.hasAfter || l.ended {
		return nil
	}
	v, ok, err := l.next()
	l.after, l.hasAfter, l.ended = v, ok, !ok
	return err
}

func (l *loop) step() (bool, error) {
	if err := l.r.charge(1); err != nil {
		return false, err
	}
	if err := l.peek(); err != nil || l.ended {
		return false, err
	}
	l.before, l.current = l.current, l.after
	l.after, l.hasAfter = nil, false
	l.index0++
	return true, nil
}

// size reads the rest of an iterable whose length is not known.
func (l *loop) size() (int, error) {
	if l.length >= 0 {
		return l.length, nil
	}
	rest, err := l.r.drain(l.next)
	if err != nil {
		return 0, err
	}
	l.length = l.index0 + 1 + len(rest)
	if l.hasAfter {
		l.length++
	}
	l.next = sliceIterator(rest)
	return l.length, nil
}

func (l *loop) attr(id string) (Value, bool, error) {
	switch id {
	case "index0":
		return int64(l.index0), true, nil
	case "index":
		return int64(l.index0 + 1), true, nil
	case "first":
		return l.index0 == 0, true, nil
	case "depth0":
		return int64(l.depth0), true, nil
	case "depth":
		return int64(l.depth0 + 1), true, nil
	case "last":
		err := l.peek()
		return l.ended, true, err
	case "nextitem":
		if err := l.peek(); err != nil || l.hasAfter {
			return l.after, true, err
		}
		return &undefined{"there is no next item"}, true, nil
	case "previtem":
		if l.index0 == 0 {
			return &undefined{"there is no previous item"}, true, nil
		}
		return l.before, true, nil
	case "length", "revindex", "revindex0":
		n, err := l.size()
		switch id {
		case "revindex":
			n -= l.index0
		case "revindex0":
			n -= l.index0 + 1
		}
		return int64(n), true, err
	case "cycle":
		return &function{"cycle", l.cycle}, true, nil
	case "changed":
		return &function{"changed", l.hasChanged}, true, nil
	}
	return nil, false, nil
}

func (l *loop) cycle(_ *run, a *arguments) (Value, error) {
	if len(a.pos) == 0 || len(a.names) > 0 {
		return nil, raise("TypeError", "no items for cycling given")
	}
	return a.pos[l.index0%len(a.pos)], nil
}

func (l *loop) hasChanged(r *run, a *arguments) (Value, error) {
	now := &Tuple{Items: a.pos}
	if l.changed != nil {
		same, err := r.equal(l.changed, now)
		if err != nil || same {
			return false, err
		}
	}
	l.changed = now
	return true, nil
}

// call is loop(items) of a recursive loop.
func (l *loop) call(a *arguments) (Value, error) {
	if l.recurse == nil {
		return nil, raise("TypeError", "The loop must have the 'recursive' marker to be called recursively.")
	}
	if len(a.pos) != 1 || len(a.names) > 0 {
		return nil, raise("TypeError", "loop() takes one iterable")
	}
	return l.recurse(a.pos[0], l.depth0+1)
}

func (l *loop) repr() (string, error) {
	n, err := l.size()
	return fmt.Sprintf("<LoopContext %d/%d>", l.index0+1, n), err
}
