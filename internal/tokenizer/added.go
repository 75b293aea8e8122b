package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in text as a whole, before the model sees
// the rest ("added_tokens" in tokenizer.json).
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only between characters that are not \w
	LStrip     bool   `json:"lstrip"`      // takes white space before it along
	RStrip     bool   `json:"rstrip"`      // takes white space after it along
	Normalized bool   `json:"normalized"`  // is looked for in normalized text
	Special    bool   `json:"special"`     // left out by Decode on request
}

// addedTokens finds added tokens in text: in a first pass those that are not
// normalized, in what remains, once normalized, the others.
type addedTokens struct {
	byID       map[int32]addedToken
	plain      matcher
	normalized matcher
}

func newAddedTokens(tokens []addedToken, n normalizer) *addedTokens {
	a := &addedTokens{byID: make(map[int32]addedToken, len(tokens))}
	// Of two tokens with the same pattern the special one is found.
	for _, special := range []bool{true, false} {
		for _, t := range tokens {
			if t.Special != special {
				continue
			}
			a.byID[t.ID] = t
			switch {
			case !t.Normalized:
				a.plain.add(t.Content, t)
			case n != nil:
				a.normalized.add(n.normalize(text{s: t.Content}).s, t)
			default:
				a.normalized.add(t.Content, t)
			}
		}
	}
	return a
}

// cut returns the pieces of a text: added tokens, and normalized text between them.
func (a *addedTokens) cut(t text, n normalizer) []piece {
	var out []piece
	for _, p := range a.plain.cut(piece{text: t, id: -1, first: true}) {
		if p.id >= 0 {
			out = append(out, p)
			continue
		}
		if n != nil {
			p.text = n.normalize(p.text)
		}
		out = append(out, a.normalized.cut(p)...)
	}
	return out
}

// matcher finds the leftmost of its patterns, of those that start there the
// longest. It is a trie over bytes.
type matcher struct {
	nodes  []trieNode
	tokens []addedToken
	starts [256]bool // first bytes of the patterns
	only   byte      // the only first byte; 0 if there are several
}

type trieNode struct {
	next  map[byte]int32 // node
	token int32          // index in tokens + 1; 0 for none
}

func (m *matcher) add(pattern string, t addedToken) {
	if pattern == "" {
		return // normalized away: never found
	}
	if m.nodes == nil {
		m.nodes = make([]trieNode, 1)
		m.only = pattern[0]
	}
	if m.starts[pattern[0]] = true; m.only != pattern[0] {
		m.only = 0
	}
	at := int32(0)
	for i := range len(pattern) {
		next, ok := m.nodes[at].next[pattern[i]]
		if !ok {
			next = int32(len(m.nodes))
			m.nodes = append(m.nodes, trieNode{})
			if m.nodes[at].next == nil {
				m.nodes[at].next = make(map[byte]int32, 1)
			}
			m.nodes[at].next[pattern[i]] = next
		}
		at = next
	}
	if m.nodes[at].token == 0 {
		m.tokens = append(m.tokens, t)
		m.nodes[at].token = int32(len(m.tokens))
	}
}

// match returns the longest pattern at the start of s and the token it is of.
func (m *matcher) match(s string) (n int, t addedToken) {
	at, found := int32(0), int32(0)
	for i := range len(s) {
		next, ok := m.nodes[at].next[s[i]]
		if !ok {
			break
		}
		at = next
		if m.nodes[at].token > 0 {
			n, found = i+1, m.nodes[at].token
		}
	}
	if n > 0 {
		t = m.tokens[found-1]
	}
	return n, t
}

// cut returns the tokens in a text and the text between them. Empty text gives
// nothing.
func (m *matcher) cut(p piece) []piece {
	if p.s == "" {
		return nil
	}
	if m.nodes == nil {
		return []piece{p}
	}
	var out []piece
	s, done := p.s, 0
	rest := func(end int) {
		if done < end {
			out = append(out, piece{text: p.text.cut(done, end), id: -1, first: p.first && done == 0})
		}
	}
	for at := m.next(s, 0); at < len(s); at = m.next(s, at) {
		n, t := m.match(s[at:])
		if n == 0 {
			at++
			continue
		}
		start, end := at, at+n
		at = end
		if t.SingleWord && (endsWithWord(s[:start]) || startsWithWord(s[end:])) {
			continue
		}
		if t.LStrip { // the token before may have taken some of it
			start = max(done, len(strings.TrimRightFunc(s[:start], unicode.IsSpace)))
		}
		if t.RStrip {
			end += run(s[end:], unicode.IsSpace)
		}
		rest(start)
		out = append(out, piece{text: p.text.cut(min(max(start, done), end), end), id: t.ID})
		done = end
	}
	rest(len(s))
	return out
}

// next returns the first place from at on where a pattern may start, len(s) if
// there is none.
func (m *matcher) next(s string, at int) int {
	if m.only != 0 {
		if i := strings.IndexByte(s[at:], m.only); i >= 0 {
			return at + i
		}
		return len(s)
	}
	for at < len(s) && !m.starts[s[at]] {
		at++
	}
	return at
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWordRune(r)
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWordRune(r)
}
