package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// regexMatcher looks for matches in one text by backtracking. A branch of the
// expression that has been taken at a place is not taken there again: it failed
// or is being tried. So a search costs at most as many steps as the text has
// places times the expression has instructions.
type regexMatcher struct {
	s     string
	free  []*regexMemo // for programs within programs
	stack []regexState
}

type regexState struct{ pc, at int }

// regexMemo says which branches were taken at which places from base on.
type regexMemo struct {
	base int
	bits []uint64
}

// taken reports whether branch i of n was taken at a place, and notes it.
func (m *regexMemo) taken(at, n, i int) bool {
	bit := (at-m.base)*n + i
	for bit>>6 >= len(m.bits) {
		m.bits = append(m.bits, 0)
	}
	if m.bits[bit>>6]>>(bit&63)&1 != 0 {
		return true
	}
	m.bits[bit>>6] |= 1 << (bit & 63)
	return false
}

func (m *regexMatcher) memo(base int) *regexMemo {
	if len(m.free) == 0 {
		return &regexMemo{base: base}
	}
	memo := m.free[len(m.free)-1]
	m.free = m.free[:len(m.free)-1]
	memo.base, memo.bits = base, memo.bits[:0]
	return memo
}

// search returns the leftmost match that starts at or after a place, -1 if there
// is none.
func (m *regexMatcher) search(re *regex, at int) (start, end int) {
	memo := m.memo(at)
	defer func() { m.free = append(m.free, memo) }()
	for start = at; start <= len(m.s); {
		r, n := rune(-1), 1
		if start < len(m.s) {
			if r = rune(m.s[start]); r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(m.s[start:])
			}
		}
		if re.starts == nil || r >= 0 && re.starts.has(r) {
			if end = m.run(re.prog, start, memo); end >= 0 {
				return start, end
			}
		}
		start += n
	}
	return -1, -1
}

// run returns the end of the match that starts at a place, -1 if there is none.
func (m *regexMatcher) run(p *regexProg, at int, memo *regexMemo) int {
	bottom := len(m.stack)
	m.stack = append(m.stack, regexState{0, at})
	for len(m.stack) > bottom {
		top := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if end := m.follow(p, top.pc, top.at, memo); end >= 0 {
			m.stack = m.stack[:bottom]
			return end
		}
	}
	return -1
}

// follow goes one way as far as it leads and puts the other ways on the stack.
func (m *regexMatcher) follow(p *regexProg, pc, at int, memo *regexMemo) int {
	for {
		in := &p.code[pc]
		pc++
		switch in.op {
		case opMatch:
			return at
		case opRune:
			if at == len(m.s) {
				return -1
			}
			r, n := rune(m.s[at]), 1
			if r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(m.s[at:])
			}
			if !in.set.has(r) {
				return -1
			}
			at += n
		case opJump:
			pc = in.x
		case opSplit:
			if memo.taken(at, p.branches, in.branch) {
				return -1
			}
			m.stack = append(m.stack, regexState{in.y, at})
			pc = in.x
		case opAssert:
			if !m.holds(in.anchor, at) {
				return -1
			}
		case opAtomic:
			if at = m.within(in.sub, at); at < 0 {
				return -1
			}
		case opLook:
			if m.looks(in, at) == in.negated {
				return -1
			}
		}
	}
}

func (m *regexMatcher) within(p *regexProg, at int) int {
	memo := m.memo(at)
	end := m.run(p, at, memo)
	m.free = append(m.free, memo)
	return end
}

// looks reports whether in's program matches ahead of a place or ends there.
func (m *regexMatcher) looks(in *regexInstr, at int) bool {
	if in.max < 0 {
		return m.within(in.sub, at) >= 0
	}
	for back, from := 0, at; back <= in.max; back++ {
		if back >= in.min && m.endsAt(in.sub, from, at) {
			return true
		}
		if from == 0 {
			return false
		}
		_, n := utf8.DecodeLastRuneInString(m.s[:from])
		from -= n
	}
	return false
}

// endsAt reports whether p matches exactly from one place to another.
func (m *regexMatcher) endsAt(p *regexProg, from, to int) bool {
	memo := m.memo(from)
	defer func() { m.free = append(m.free, memo) }()
	bottom := len(m.stack)
	defer func() { m.stack = m.stack[:bottom] }()
	m.stack = append(m.stack, regexState{0, from})
	for len(m.stack) > bottom {
		top := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if m.follow(p, top.pc, top.at, memo) == to {
			return true
		}
	}
	return false
}

// holds reports whether an anchor matches at a place.
func (m *regexMatcher) holds(anchor byte, at int) bool {
	switch anchor {
	case '^':
		return at == 0 || m.s[at-1] == '\n'
	case '$':
		return at == len(m.s) || m.s[at] == '\n'
	case 'A':
		return at == 0
	case 'z':
		return at == len(m.s)
	case 'Z':
		return strings.TrimSuffix(m.s[at:], "\n") == ""
	}
	boundary := endsWithWord(m.s[:at]) != startsWithWord(m.s[at:])
	return boundary == (anchor == 'b')
}
