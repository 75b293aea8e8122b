package tokenizer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Regular expressions in tokenizer.json are Oniguruma's (its Ruby syntax, with
// Unicode classes), and the ones in use look ahead, which Go's cannot. What is
// read here: classes with nesting and &&, \p, \s \d \w \h, ^ $ \A \z \Z \b \B,
// groups (?: (?i (?m (?> (?= (?! (?<= (?<!, names, greedy, lazy and possessive
// repetition. Anything else (back references, \G, \K, \R, \X, conditions) is
// refused by name.

const (
	maxRegexDepth  = 100
	maxRegexRepeat = 1000
	maxRegexSize   = 20000 // instructions

	// Matching keeps a bit for each branch of the expression and character of the
	// text, and 4 bytes for a branch in a group that looks around or is atomic.
	maxRegexBranches    = 1000
	maxRegexSubBranches = 100
)

var errTooDeep = fmt.Errorf("more than %d levels", maxRegexDepth)

type nodeKind uint8

const (
	nodeRune   nodeKind = iota // one character of set
	nodeConcat                 // children one after the other
	nodeChoice                 // the first child that leads to a match
	nodeRepeat                 // children[0] from min to max times, max -1: any number
	nodeAssert                 // an anchor
	nodeLook                   // children[0] matches here, or not if negated
	nodeAtomic                 // children[0], and no going back into it
)

type regexNode struct {
	kind     nodeKind
	set      *class
	children []*regexNode
	min, max int
	lazy     bool
	anchor   byte // ^ $ A z Z b B
	behind   bool
	negated  bool
}

type regexParser struct {
	rest  string
	fold  bool // (?i)
	dots  bool // (?m): . matches a newline too
	depth int
}

func parseRegex(p string) (*regexNode, error) {
	parser := regexParser{rest: p}
	n, err := parser.choice()
	if err == nil && parser.rest != "" {
		err = errors.New("there is a ) too many")
	}
	return n, err
}

func (p *regexParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

// choice parses alternatives up to a ) or the end.
func (p *regexParser) choice() (*regexNode, error) {
	if p.depth++; p.depth > maxRegexDepth {
		return nil, errTooDeep
	}
	defer func(fold, dots bool) { p.depth, p.fold, p.dots = p.depth-1, fold, dots }(p.fold, p.dots)
	n := &regexNode{kind: nodeChoice}
	sequence := &regexNode{kind: nodeConcat}
	for {
		switch {
		case p.rest == "" || p.rest[0] == ')':
			if n.children = append(n.children, sequence); len(n.children) == 1 {
				return sequence, nil
			}
			return n, nil
		case p.take("|"):
			n.children = append(n.children, sequence)
			sequence = &regexNode{kind: nodeConcat}
			continue
		}
		item, err := p.item()
		if err != nil {
			return nil, err
		}
		if item == nil { // only changed the options
			continue
		}
		for {
			repeated, err := p.repeat(item)
			if err != nil {
				return nil, err
			}
			if repeated == item {
				break
			}
			item = repeated
		}
		sequence.children = append(sequence.children, item)
	}
}

// item parses one character, class, group or anchor.
func (p *regexParser) item() (*regexNode, error) {
	switch c := p.rest[0]; c {
	case '(':
		p.rest = p.rest[1:]
		return p.group()
	case '[':
		p.rest = p.rest[1:]
		in, err := p.class()
		if err != nil {
			return nil, err
		}
		return &regexNode{kind: nodeRune, set: newClass(in)}, nil
	case '.':
		p.rest = p.rest[1:]
		dots := p.dots
		return &regexNode{kind: nodeRune, set: newClass(func(r rune) bool { return dots || r != '\n' })}, nil
	case '^', '$':
		p.rest = p.rest[1:]
		return &regexNode{kind: nodeAssert, anchor: c}, nil
	case '*', '+', '?':
		return nil, fmt.Errorf("%q repeats nothing", c)
	case '\\':
		if len(p.rest) > 1 && strings.IndexByte("AzZbB", p.rest[1]) >= 0 {
			n := &regexNode{kind: nodeAssert, anchor: p.rest[1]}
			p.rest = p.rest[2:]
			return n, nil
		}
		r, in, err := p.escape()
		if err != nil {
			return nil, err
		}
		if in == nil {
			return p.literal(r), nil
		}
		return &regexNode{kind: nodeRune, set: newClass(in)}, nil
	}
	r, n := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[n:]
	return p.literal(r), nil
}

func (p *regexParser) literal(r rune) *regexNode {
	in := func(c rune) bool { return c == r }
	if p.fold {
		in = folded(in)
	}
	return &regexNode{kind: nodeRune, set: newClass(in)}
}

// group parses what follows a (. The node is nil for options that hold up to
// the end of the group around.
func (p *regexParser) group() (*regexNode, error) {
	n := &regexNode{kind: nodeConcat}
	switch {
	case !strings.HasPrefix(p.rest, "?") || p.take("?:"):
	case p.take("?="):
		n.kind = nodeLook
	case p.take("?!"):
		n.kind, n.negated = nodeLook, true
	case p.take("?<="):
		n.kind, n.behind = nodeLook, true
	case p.take("?<!"):
		n.kind, n.behind, n.negated = nodeLook, true, true
	case p.take("?>"):
		n.kind = nodeAtomic
	case strings.HasPrefix(p.rest, "?<"):
		end := strings.IndexByte(p.rest, '>')
		if end < 0 {
			return nil, errors.New("the name of a group is not closed")
		}
		p.rest = p.rest[end+1:]
	default:
		return p.options()
	}
	child, err := p.choice()
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, errors.New("a group is not closed")
	}
	n.children = []*regexNode{child}
	return n, nil
}

// options parses (?i), (?m), (?-i:…) and the like after the (.
func (p *regexParser) options() (*regexNode, error) {
	fold, dots, on := p.fold, p.dots, true
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case 'i':
			fold = on
		case 'm':
			dots = on
		case '-':
			on = false
		case ')':
			p.rest = p.rest[i+1:]
			p.fold, p.dots = fold, dots
			return nil, nil
		case ':':
			oldFold, oldDots := p.fold, p.dots
			p.rest, p.fold, p.dots = p.rest[i+1:], fold, dots
			child, err := p.choice()
			p.fold, p.dots = oldFold, oldDots
			if err == nil && !p.take(")") {
				err = errors.New("a group is not closed")
			}
			return child, err
		default:
			return nil, fmt.Errorf("the group %q is not supported", "("+p.rest[:i+1])
		}
	}
	return nil, errors.New("a group is not closed")
}

// repeat parses a quantifier after n, if there is one.
func (p *regexParser) repeat(n *regexNode) (*regexNode, error) {
	r := &regexNode{kind: nodeRepeat, children: []*regexNode{n}}
	switch {
	case p.take("*"):
		r.min, r.max = 0, -1
	case p.take("+"):
		r.min, r.max = 1, -1
	case p.take("?"):
		r.min, r.max = 0, 1
	default:
		ok, err := p.counts(r)
		if !ok || err != nil {
			return n, err
		}
		r.lazy = p.take("?") // a + here would repeat the repetition
		return r, nil
	}
	if p.take("?") {
		r.lazy = true
	} else if p.take("+") {
		return &regexNode{kind: nodeAtomic, children: []*regexNode{r}}, nil
	}
	return r, nil
}

// counts parses {n}, {n,}, {n,m} or {,m}; any other { is a character.
func (p *regexParser) counts(r *regexNode) (bool, error) {
	end := strings.IndexByte(p.rest, '}')
	if !strings.HasPrefix(p.rest, "{") || end < 2 {
		return false, nil
	}
	lo, hi, comma := strings.Cut(p.rest[1:end], ",")
	if !isCount(lo) || !isCount(hi) || lo == "" && hi == "" {
		return false, nil
	}
	r.min, _ = strconv.Atoi("0" + lo)
	r.max = r.min
	if comma {
		if r.max = -1; hi != "" {
			r.max, _ = strconv.Atoi(hi)
		}
	}
	switch {
	case len(lo) > 6 || len(hi) > 6 || r.min > maxRegexRepeat || r.max > maxRegexRepeat:
		return false, fmt.Errorf("%s: more than %d repetitions", p.rest[:end+1], maxRegexRepeat)
	case r.max >= 0 && r.max < r.min:
		return false, fmt.Errorf("%s: the maximum is less than the minimum", p.rest[:end+1])
	}
	p.rest = p.rest[end+1:]
	return true, nil
}

func isCount(s string) bool { return strings.Trim(s, "0123456789") == "" }

// escape parses a backslash and what belongs to it: a character, or a class.
func (p *regexParser) escape() (rune, func(rune) bool, error) {
	if len(p.rest) < 2 {
		return 0, nil, errors.New("it ends with a backslash")
	}
	c, n := utf8.DecodeRuneInString(p.rest[1:])
	start := p.rest
	p.rest = p.rest[1+n:]
	if in := escapedClass(c); in != nil {
		return 0, in, nil
	}
	switch {
	case c == 'p' || c == 'P':
		end := strings.IndexByte(p.rest, '}')
		if !strings.HasPrefix(p.rest, "{") || end < 0 {
			return 0, nil, fmt.Errorf("%q without {…} is not supported", start[:2])
		}
		in, err := property(p.rest[1:end])
		if c == 'P' {
			in = not(in)
		}
		p.rest = p.rest[end+1:]
		return 0, in, err
	case c == 'x' || c == 'u':
		r, err := p.codePoint(c)
		return r, nil, err
	}
	if i := strings.IndexRune("tnrfvae", c); i >= 0 {
		return rune("\t\n\r\f\v\a\x1b"[i]), nil, nil
	}
	if c >= '0' && c <= '9' || c < utf8.RuneSelf && c|0x20 >= 'a' && c|0x20 <= 'z' {
		return 0, nil, fmt.Errorf("the escape %q is not supported", start[:2])
	}
	return c, nil, nil // an escaped punctuation mark
}

// codePoint parses the digits of \xHH, \x{H…} and \uHHHH.
func (p *regexParser) codePoint(kind rune) (rune, error) {
	digits, rest := "", p.rest
	switch {
	case kind == 'u':
		digits = rest[:min(4, len(rest))]
		rest = rest[len(digits):]
	case strings.HasPrefix(rest, "{"):
		end := max(strings.IndexByte(rest, '}'), 0)
		digits, rest = rest[min(1, end):end], rest[min(end+1, len(rest)):]
	default:
		for len(digits) < 2 && len(digits) < len(rest) && isHexDigit(rune(rest[len(digits)])) {
			digits = rest[:len(digits)+1]
		}
		rest = rest[len(digits):]
	}
	v, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || v > utf8.MaxRune || kind == 'u' && len(digits) < 4 {
		return 0, fmt.Errorf("the escape \\%c%.8s is not a character", kind, p.rest)
	}
	p.rest = rest
	return rune(v), nil
}
