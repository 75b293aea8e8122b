package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"
)

// regex is a compiled expression. It is safe for concurrent use.
type regex struct {
	prog     *regexProg
	subs     int    // programs within the program
	starts   *class // what a match can start with; nil if that is not known
	matchers sync.Pool
}

// regexProg is a list of instructions that starts at 0 and ends at opMatch.
type regexProg struct {
	code     []regexInstr
	branches int  // number of opSplit
	sub      int  // which program within the program it is
	back     bool // it reads the text backwards
}

type regexOp uint8

const (
	opRune   regexOp = iota // a character of set, then the next instruction
	opSplit                 // x, and y if that fails
	opJump                  // x
	opAssert                // an anchor
	opLook                  // sub matches here, or not if negated
	opAtomic                // sub, and no going back into it
	opMatch
)

type regexInstr struct {
	op      regexOp
	anchor  byte
	negated bool
	set     *class
	x, y    int
	branch  int // of opSplit: its number
	sub     *regexProg
}

func compileRegex(pattern string) (*regex, error) {
	n, err := parseRegex(pattern)
	if err != nil {
		return nil, err
	}
	c := regexCompiler{}
	prog := &regexProg{}
	if err := c.program(prog, n); err != nil {
		return nil, err
	}
	re := &regex{prog: prog, subs: c.subs}
	if sets, empty := n.first(); !empty {
		re.starts = newClass(func(r rune) bool {
			for _, set := range sets {
				if set.has(r) {
					return true
				}
			}
			return false
		})
	}
	return re, nil
}

// first returns sets that between them have every character with which a match
// of n can start; empty tells that it may also match nothing, or look elsewhere.
func (n *regexNode) first() (sets []*class, empty bool) {
	switch n.kind {
	case nodeRune:
		return []*class{n.set}, false
	case nodeConcat, nodeAtomic:
		for _, child := range n.children {
			more, maybe := child.first()
			if sets = append(sets, more...); !maybe {
				return sets, false
			}
		}
		return sets, true
	case nodeChoice:
		for _, child := range n.children {
			more, maybe := child.first()
			sets, empty = append(sets, more...), empty || maybe
		}
		return sets, empty
	case nodeRepeat:
		sets, empty = n.children[0].first()
		return sets, empty || n.min == 0
	}
	return nil, true
}

type regexCompiler struct {
	size        int // instructions of all programs so far
	branches    int // of the main program
	subBranches int // of all others
	subs        int // programs within the program
}

// program compiles n into p, which is empty.
func (c *regexCompiler) program(p *regexProg, n *regexNode) error {
	if err := c.compile(p, n); err != nil {
		return err
	}
	_, err := c.emit(p, regexInstr{op: opMatch})
	return err
}

func (c *regexCompiler) emit(p *regexProg, in regexInstr) (int, error) {
	if c.size++; c.size > maxRegexSize {
		return 0, fmt.Errorf("it needs more than %d instructions", maxRegexSize)
	}
	if in.op == opSplit {
		in.branch = p.branches
		p.branches++
		count, most := &c.branches, maxRegexBranches
		if p.sub > 0 {
			count, most = &c.subBranches, maxRegexSubBranches
		}
		if *count++; *count > most {
			return 0, fmt.Errorf("it has more than %d branches (%d in groups that look around or are atomic)",
				maxRegexBranches, maxRegexSubBranches)
		}
	}
	p.code = append(p.code, in)
	return len(p.code) - 1, nil
}

func (c *regexCompiler) compile(p *regexProg, n *regexNode) error {
	switch n.kind {
	case nodeRune:
		_, err := c.emit(p, regexInstr{op: opRune, set: n.set})
		return err
	case nodeAssert:
		_, err := c.emit(p, regexInstr{op: opAssert, anchor: n.anchor})
		return err
	case nodeConcat:
		for i := range n.children {
			if p.back {
				i = len(n.children) - 1 - i
			}
			if err := c.compile(p, n.children[i]); err != nil {
				return err
			}
		}
		return nil
	case nodeChoice:
		return c.choice(p, n)
	case nodeRepeat:
		return c.repeat(p, n)
	}
	return c.within(p, n)
}

// within compiles a program within a program.
func (c *regexCompiler) within(p *regexProg, n *regexNode) error {
	in := regexInstr{op: opAtomic}
	switch {
	case n.kind == nodeLook:
		in.op, in.negated = opLook, n.negated
		if _, most := n.children[0].width(); n.behind && most < 0 {
			return errors.New("looking behind without a limit is not supported")
		}
	case p.back:
		return errors.New("an atomic group is not supported where it looks behind")
	case n.children[0].loopsOnNothing():
		return errors.New("an atomic group that repeats what may match nothing is not supported")
	}
	c.subs++
	in.sub = &regexProg{sub: c.subs, back: n.behind}
	if err := c.program(in.sub, n.children[0]); err != nil {
		return err
	}
	_, err := c.emit(p, in)
	return err
}

// loopsOnNothing reports whether n repeats without a limit what may match nothing.
func (n *regexNode) loopsOnNothing() bool {
	if n.kind == nodeLook {
		return false // only whether it matches counts
	}
	if n.kind == nodeRepeat && n.max < 0 {
		if least, _ := n.children[0].width(); least == 0 {
			return true
		}
	}
	return slices.ContainsFunc(n.children, (*regexNode).loopsOnNothing)
}

func (c *regexCompiler) choice(p *regexProg, n *regexNode) error {
	var ends []int
	for i, child := range n.children {
		last := i == len(n.children)-1
		split := 0
		if !last {
			var err error
			if split, err = c.emit(p, regexInstr{op: opSplit}); err != nil {
				return err
			}
			p.code[split].x = len(p.code)
		}
		if err := c.compile(p, child); err != nil {
			return err
		}
		if !last {
			end, err := c.emit(p, regexInstr{op: opJump})
			if err != nil {
				return err
			}
			ends = append(ends, end)
			p.code[split].y = len(p.code)
		}
	}
	for _, end := range ends {
		p.code[end].x = len(p.code)
	}
	return nil
}

// repeat compiles x{min,max} as copies of x of which those past min are optional.
// Without a maximum the last copy loops back after x, not before it: an x that
// matches nothing then leaves the loop before its other ways are tried.
func (c *regexCompiler) repeat(p *regexProg, n *regexNode) error {
	child := n.children[0]
	var splits []int // before an optional copy: over it to the end
	split := func() error {
		at, err := c.emit(p, regexInstr{op: opSplit})
		splits = append(splits, at)
		return err
	}
	copies := n.max
	if n.max < 0 {
		copies = max(n.min, 1)
	}
	last := 0
	for i := range copies {
		if i >= n.min {
			if err := split(); err != nil {
				return err
			}
		}
		last = len(p.code)
		if err := c.compile(p, child); err != nil {
			return err
		}
	}
	loop := -1
	if n.max < 0 {
		var err error
		if loop, err = c.emit(p, regexInstr{op: opSplit}); err != nil {
			return err
		}
		splits = append(splits, loop)
	}
	for _, at := range splits {
		in, out := at+1, len(p.code)
		if at == loop {
			in = last
		}
		if n.lazy {
			in, out = out, in
		}
		p.code[at].x, p.code[at].y = in, out
	}
	return nil
}

// width returns how many characters n matches at least and at most, -1 for any
// number.
func (n *regexNode) width() (least, most int) {
	switch n.kind {
	case nodeRune:
		return 1, 1
	case nodeConcat, nodeAtomic:
		for _, child := range n.children {
			lo, hi := child.width()
			if least += lo; most < 0 || hi < 0 {
				most = -1
			} else {
				most += hi
			}
		}
	case nodeChoice:
		for i, child := range n.children {
			lo, hi := child.width()
			if i == 0 {
				least, most = lo, hi
				continue
			}
			if least = min(least, lo); most < 0 || hi < 0 {
				most = -1
			} else {
				most = max(most, hi)
			}
		}
	case nodeRepeat:
		lo, hi := n.children[0].width()
		if least, most = lo*n.min, hi*n.max; hi < 0 || n.max < 0 && hi > 0 {
			most = -1
		}
	}
	return least, most
}

// spans calls found for each match in s from left to right, empty ones too, as
// Oniguruma's search does one after the other.
func (re *regex) spans(s string, found func(start, end int)) {
	m, ok := re.matchers.Get().(*regexMatcher)
	if !ok {
		m = &regexMatcher{re: re, stride: (re.prog.branches + 7) / 8, ends: make([][]int32, re.subs)}
	}
	m.start(s)
	defer func() { m.s = ""; re.matchers.Put(m) }()
	last := -1 // end of the last match
	for at := 0; at <= len(s); {
		start, end := m.search(at)
		if start < 0 {
			return
		}
		if start == end && start == last { // right after a match there is no empty one
			_, n := utf8.DecodeRuneInString(s[start:])
			at = start + max(n, 1)
			last = -1
			continue
		}
		found(start, end)
		last = end
		if at = end; start == end {
			_, n := utf8.DecodeRuneInString(s[end:])
			at += max(n, 1)
		}
	}
}
