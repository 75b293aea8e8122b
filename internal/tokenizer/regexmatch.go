package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// regexMatcher looks for the matches in one text by backtracking. What follows
// from an instruction at a place depends on the two alone, as there are no back
// references. So a branch that failed at a place is not tried there again, in
// later searches too, and what a group that looks around or is atomic came to is
// kept. All searches in a text together cost at most as many steps as the text
// has places times the expression has instructions.
type regexMatcher struct {
	re     *regex
	s      string
	tried  []byte // bits: the branches of the main program, stride bytes for each place
	stride int
	ends   [][]int32 // by program within it, then place and branch: see outcomes
	stack  []regexState
}

// The outcomes of a branch within a group; any other one is the place where the
// group ended, plus outcomeEnd.
const (
	outcomeUnknown = 0
	outcomeFailed  = 1 // or is being tried
	outcomeEnd     = 2
)

// regexState is a branch whose second way is still to be tried, or being tried.
type regexState struct {
	in     *regexInstr
	at     int
	second bool
}

// start forgets what was known of another text.
func (m *regexMatcher) start(s string) {
	m.s, m.tried = s, m.tried[:0]
	for i := range m.ends {
		m.ends[i] = m.ends[i][:0]
	}
}

// again reports whether a branch of the main program was tried at a place, and
// notes that it is now.
func (m *regexMatcher) again(branch, at int) bool {
	i, bit := at*m.stride+branch>>3, byte(1)<<(branch&7)
	if i >= len(m.tried) {
		m.tried = append(m.tried, make([]byte, (at+1)*m.stride-len(m.tried))...)
	}
	if m.tried[i]&bit != 0 {
		return true
	}
	m.tried[i] |= bit
	return false
}

// outcome is where the outcome of a branch of a group is kept.
func (m *regexMatcher) outcome(p *regexProg, branch, at int) *int32 {
	ends := &m.ends[p.sub-1]
	i := at*p.branches + branch
	if i >= len(*ends) {
		*ends = append(*ends, make([]int32, (at+1)*p.branches-len(*ends))...)
	}
	return &(*ends)[i]
}

// search returns the leftmost match that starts at or after a place, -1 if there
// is none.
func (m *regexMatcher) search(at int) (start, end int) {
	for start = at; start <= len(m.s); {
		r, n := rune(-1), 1
		if start < len(m.s) {
			if r = rune(m.s[start]); r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(m.s[start:])
			}
		}
		if m.re.starts == nil || r >= 0 && m.re.starts.has(r) {
			if end = m.match(start); end >= 0 {
				return start, end
			}
		}
		start += n
	}
	return -1, -1
}

// match returns the end of the match that starts at a place, -1 if there is none.
//
// The branches that led to the match lie at or before its end. So do those that
// were given up only because they led back to one of these. Later searches start
// at that end, whose branches are therefore forgotten; all others did fail.
func (m *regexMatcher) match(at int) int {
	end := m.follow(m.re.prog, 0, at)
	for end < 0 && len(m.stack) > 0 {
		top := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		end = m.follow(m.re.prog, top.in.y, top.at)
	}
	m.stack = m.stack[:0]
	if i := end * m.stride; end >= 0 && i < len(m.tried) {
		clear(m.tried[i : i+m.stride])
	}
	return end
}

// within returns the end of the match of a group at a place, -1 if there is none:
// of an atomic group that of the first match, of another one that of any.
func (m *regexMatcher) within(p *regexProg, at int) int {
	bottom := len(m.stack)
	end := m.follow(p, 0, at)
	for end < 0 && len(m.stack) > bottom {
		top := &m.stack[len(m.stack)-1]
		if top.second {
			m.stack = m.stack[:len(m.stack)-1]
			continue
		}
		top.second = true
		end = m.follow(p, top.in.y, top.at)
	}
	if end >= 0 {
		m.succeed(p, m.stack[bottom:], end)
	}
	m.stack = m.stack[:bottom]
	return end
}

// succeed notes where the branches that led to a match end, and forgets those
// beside them that may have failed only because they led back to them.
func (m *regexMatcher) succeed(p *regexProg, path []regexState, end int) {
	for _, state := range path {
		*m.outcome(p, state.in.branch, state.at) = int32(end + outcomeEnd)
	}
	for _, state := range path {
		row := m.ends[p.sub-1][state.at*p.branches:][:p.branches]
		for i, outcome := range row {
			if outcome == outcomeFailed {
				row[i] = outcomeUnknown
			}
		}
	}
}

// follow goes one way as far as it leads and puts the other ways on the stack.
// It returns the end of the match, -1 if it leads to none.
func (m *regexMatcher) follow(p *regexProg, pc, at int) int {
	for {
		in := &p.code[pc]
		pc++
		switch in.op {
		case opMatch:
			return at
		case opRune:
			n := m.step(p, in.set, at)
			if n == 0 {
				return -1
			}
			at += n
		case opJump:
			pc = in.x
		case opSplit:
			if p.sub == 0 {
				if m.again(in.branch, at) {
					return -1
				}
			} else if outcome := m.outcome(p, in.branch, at); *outcome != outcomeUnknown {
				return int(*outcome) - outcomeEnd
			} else {
				*outcome = outcomeFailed
			}
			m.stack = append(m.stack, regexState{in: in, at: at})
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
			if m.within(in.sub, at) >= 0 == in.negated {
				return -1
			}
		}
	}
}

// step returns by how much a character of a set at a place, or before it where
// the program reads backwards, moves the place: 0 if there is none.
func (m *regexMatcher) step(p *regexProg, set *class, at int) int {
	if p.back {
		r, n := utf8.DecodeLastRuneInString(m.s[:at])
		if n == 0 || !set.has(r) {
			return 0
		}
		return -n
	}
	if at == len(m.s) {
		return 0
	}
	r, n := rune(m.s[at]), 1
	if r >= utf8.RuneSelf {
		r, n = utf8.DecodeRuneInString(m.s[at:])
	}
	if !set.has(r) {
		return 0
	}
	return n
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
