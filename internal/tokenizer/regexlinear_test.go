package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// plainMatch is matching by the book: it remembers nothing, and tries each way
// in which n can match s from a place until next accepts where it ends.
func plainMatch(n *regexNode, s string, at int, next func(int) bool) bool {
	end := -1
	first := func(to int) bool { end = to; return true }
	switch n.kind {
	case nodeRune:
		r, size := utf8.DecodeRuneInString(s[at:])
		return size > 0 && n.set.has(r) && next(at+size)
	case nodeAssert:
		return (&regexMatcher{s: s}).holds(n.anchor, at) && next(at)
	case nodeConcat:
		if len(n.children) == 0 {
			return next(at)
		}
		rest := &regexNode{children: n.children[1:], kind: nodeConcat}
		return plainMatch(n.children[0], s, at, func(to int) bool { return plainMatch(rest, s, to, next) })
	case nodeChoice:
		return slices.ContainsFunc(n.children, func(child *regexNode) bool { return plainMatch(child, s, at, next) })
	case nodeAtomic:
		return plainMatch(n.children[0], s, at, first) && next(end)
	case nodeLook:
		found := false
		for from := 0; from <= at && n.behind && !found; from++ {
			found = plainMatch(n.children[0], s, from, func(to int) bool { return to == at })
		}
		if !n.behind {
			found = plainMatch(n.children[0], s, at, first)
		}
		return found != n.negated && next(at)
	}
	more := func() bool {
		if n.max == 0 {
			return false
		}
		rest := &regexNode{kind: nodeRepeat, children: n.children, min: max(n.min-1, 0), max: max(n.max-1, -1), lazy: n.lazy}
		return plainMatch(n.children[0], s, at, func(to int) bool {
			return (to > at || n.min > 0) && plainMatch(rest, s, to, next)
		})
	}
	if n.min > 0 {
		return more()
	}
	if n.lazy {
		return next(at) || more()
	}
	return more() || next(at)
}

// What is remembered from one place and search to the next changes no match.
func TestRegexAgainstPlainMatching(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	var random func(depth int) string
	random = func(depth int) string {
		if depth == 0 {
			return []string{"a", "b", "[ab]", "[^b]", "é", "."}[r.IntN(6)]
		}
		one := func() string { return random(r.IntN(depth)) }
		switch r.IntN(8) {
		case 0, 1:
			return one() + one() + one()
		case 2:
			return "(?:" + one() + "|" + one() + ")"
		case 3, 4:
			return "(?:" + []string{"a", "b", "é"}[r.IntN(3)] + one() + ")" + []string{"*", "+", "?", "*?", "+?", "{1,2}", "*+", "++"}[r.IntN(8)]
		case 5:
			return []string{"(?=", "(?!"}[r.IntN(2)] + one() + ")" + one()
		case 6:
			return one() + []string{"(?<=", "(?<!"}[r.IntN(2)] + []string{"a", "ab?", "b|éa", "a{1,2}b"}[r.IntN(4)] + ")"
		}
		if r.IntN(3) == 0 {
			return []string{"(?=", "(?!"}[r.IntN(2)] + "(?:(?:" + one() + "|a?)*b?)*" + one() + ")" + one()
		}
		return "(?>" + one() + ")" + []string{"", `\b`, "$"}[r.IntN(3)]
	}
	for range 6000 {
		source := random(5)
		tree, err := parseRegex(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		re, err := compileRegex(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		s := randomText(r, "aabbé\n", r.IntN(14))
		got := matches(re, s)
		want := []string{}
		last := -1
		for at := 0; at <= len(s); {
			end := -1
			if plainMatch(tree, s, at, func(to int) bool { end = to; return true }) && (end > at || at != last) {
				want, last = append(want, fmt.Sprintf("%d:%s", at, s[at:end])), end
			}
			if at < end {
				at = end
				continue
			}
			_, n := utf8.DecodeRuneInString(s[at:])
			at += max(n, 1)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s of %q\n got %q\nwant %q", source, s, got, want)
		}
	}
}

// Each search of these looks far ahead, or behind, and then moves on a little.
func TestSearchesTogetherTakeLinearTime(t *testing.T) {
	const size, factor = 1 << 14, 8
	for pattern, char := range map[string]string{
		`\d{1,3}(?=(?:\d{3})*\b)`: "7", `(?:a*b|a)`: "a", `a*+b|a`: "a", `a(?=a*b?)`: "a", `a(?!a*b)`: "a", `(?:a|aa)+?b|a`: "a",
		`.*?b|a`: "a", `(?<=a{1,90})a`: "a", `(?=(?:a?)*b)|a`: "a", `\s+(?=x)|\s`: " ", `(?:(?!a*b)a(?=a*(?!b)))+?b|a`: "a",
	} {
		re, err := compileRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		search := func(size int) time.Duration {
			start, count := time.Now(), 0
			re.spans(strings.Repeat(char, size), func(int, int) { count++ })
			if count == 0 {
				t.Errorf("%s: no match", pattern)
			}
			return time.Since(start)
		}
		// Quadratic time would grow by factor squared. A busy machine may slow one try, not every one.
		var short, long time.Duration
		for try := range 4 {
			short, long = search(size), search(factor*size)
			if long < 3*factor*short {
				break
			}
			if try == 3 {
				t.Errorf("%s: %d bytes took %v, %d times as many %v", pattern, size, short, factor, long)
			}
		}
	}
}

// Every expression of a GGUF file's pre-tokenizer takes linear time.
func TestPreTokenizersTakeLinearTime(t *testing.T) {
	for _, pre := range llamaCppPres {
		for _, source := range pre.regexes {
			re, err := compileRegex(source)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"a", "aA", " ", " \n", "7", "😀", "'s", "!", "e\u0301\u0301", strings.Repeat(" ", 511) + "x"} {
				start := time.Now()
				re.spans(strings.Repeat(part, 1<<16/len(part)), func(int, int) {})
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("%s: 64 KiB of %.10q took %v", pre.names[0], part, d)
				}
			}
		}
	}
}
