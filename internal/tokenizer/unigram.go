package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"unicode/utf8"
)

// unigram cuts a word into the pieces whose scores (log probabilities) have the
// largest sum, found with Viterbi's algorithm (Kudo 2018). A character that no
// piece covers is the unknown token, unknown ones in a row are one; with byte
// fallback they become their bytes' tokens. It is safe for concurrent use.
type unigram struct {
	ids      map[string]int32
	pieces   *trie
	scores   []float64 // by id
	unk      int32     // -1 for none
	unkScore float64   // of a character that no piece covers
	byteIDs  *[256]int32
	cache    *wordCache[wordToken]
}

// unkPenalty is what an unknown character costs beyond the worst piece.
const unkPenalty = 10

// newUnigram takes the scores by id, the ids of the pieces that may be found in
// text, and the worst score among those that count.
func newUnigram(ids, found map[string]int32, scores []float64, worst float64, unk int32, byteFallback bool) *unigram {
	m := &unigram{
		ids: ids, pieces: newTrie(found), scores: scores, unk: unk, unkScore: worst - unkPenalty,
		cache: newWordCache[wordToken](),
	}
	if table := lookupByteTokens(ids); byteFallback {
		m.byteIDs = &table
	}
	return m
}

// way is the best way to a place in a word: a piece from start, and the sum.
type way struct {
	sum   float64
	start int32
	id    int32 // noPiece for an unknown character
}

func (m *unigram) tokenize(dst []wordToken, word string) []wordToken {
	if word == "" {
		return dst
	}
	if tokens, ok := m.cache.get(word); ok {
		return append(dst, tokens...)
	}
	start := len(dst)
	dst = m.write(dst, word, m.best(word))
	m.cache.put(word, dst[start:])
	return dst
}

const noPiece = -1 // the id of a character that no piece covers

// best returns the best way to each place in word.
func (m *unigram) best(word string) []way {
	ways := make([]way, len(word)+1)
	for i := range ways {
		ways[i].start = -1
	}
	ways[0].start = 0
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		covered := false
		reach := func(end int, score float64, id int32) {
			sum := ways[at].sum + score
			if w := &ways[end]; w.start < 0 || sum > w.sum {
				*w = way{sum, int32(at), id}
			}
		}
		node := int32(0)
		for end := at; end < len(word); {
			if node = m.pieces.child(node, word[end]); node < 0 {
				break
			}
			end++
			if id := m.pieces.values[node]; id >= 0 {
				reach(end, m.scores[id], id)
				covered = covered || end == at+size
			}
		}
		if !covered {
			reach(at+size, m.unkScore, noPiece)
		}
		at += size
	}
	return ways
}

// write appends the tokens on the way to the end of word.
func (m *unigram) write(dst []wordToken, word string, ways []way) []wordToken {
	start := len(dst)
	for at := len(word); at > 0; at = int(ways[at].start) {
		dst = append(dst, wordToken{ways[at].id, int32(at)})
	}
	found := dst[start:]
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	unknown := func(t wordToken) bool { return t.id == noPiece || t.id == m.unk }
	simple := true
	for _, t := range found {
		simple = simple && !unknown(t)
	}
	if simple {
		return dst
	}
	var out []wordToken
	from := int32(0)
	for i, t := range found {
		switch {
		case !unknown(t):
			out = append(out, t)
		case i+1 < len(found) && unknown(found[i+1]):
			continue // one with the next
		default:
			out = m.writeUnknown(out, word[from:t.end], t.end)
		}
		from = t.end
	}
	return append(dst[:start], out...)
}

// writeUnknown appends the tokens of a part of the word that no piece covers.
func (m *unigram) writeUnknown(dst []wordToken, s string, end int32) []wordToken {
	if id, ok := m.ids[s]; ok { // "<unk>" itself, say
		return append(dst, wordToken{id, end})
	}
	if m.byteIDs != nil && hasBytes(m.byteIDs, s) {
		for i := range len(s) {
			dst = append(dst, wordToken{m.byteIDs[s[i]], end - int32(len(s)-i-1)})
		}
		return dst
	}
	if m.unk >= 0 {
		dst = append(dst, wordToken{m.unk, end})
	}
	return dst
}

func (m *unigram) digest(w io.Writer) {
	fmt.Fprintf(w, "unigram %d %v %t\n", m.unk, m.unkScore, m.byteIDs != nil)
	fmt.Fprintf(w, "%v\n", m.pieces.values)
	for _, score := range m.scores {
		fmt.Fprintf(w, "%x\n", math.Float64bits(score))
	}
}

// scoredPiece is an element of a Unigram's vocab: ["piece", score].
type scoredPiece struct {
	piece string
	score float64
}

// UnmarshalJSON reads the pair.
func (p *scoredPiece) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("%.60s: want a piece and its score", data)
	}
	if err := json.Unmarshal(pair[0], &p.piece); err != nil {
		return fmt.Errorf("%.60s: want a piece and its score: %w", data, err)
	}
	if err := json.Unmarshal(pair[1], &p.score); err != nil {
		return fmt.Errorf("%.60s: want a piece and its score: %w", data, err)
	}
	return nil
}

func openUnigram(c component) (modelVocab, error) {
	var f struct {
		Type         string        `json:"type"`
		UnkID        *int          `json:"unk_id"`
		Vocab        []scoredPiece `json:"vocab"`
		ByteFallback bool          `json:"byte_fallback"`
	}
	if err := c.decode(&f); err != nil {
		return modelVocab{}, err
	}
	if f.Vocab == nil {
		return modelVocab{}, c.errorf("the vocab is missing")
	}
	out := modelVocab{ids: make(map[string]int32, len(f.Vocab))}
	scores := make([]float64, len(f.Vocab))
	worst := math.Inf(1)
	for id, p := range f.Vocab {
		if other, twice := out.ids[p.piece]; twice {
			return modelVocab{}, c.errorf("vocab: entries %d and %d are both %q", other, id, p.piece)
		}
		out.ids[p.piece] = int32(id)
		scores[id] = p.score
		worst = min(worst, p.score)
	}
	unk := int32(-1)
	switch {
	case f.UnkID == nil:
	case *f.UnkID < 0 || *f.UnkID >= len(f.Vocab):
		return modelVocab{}, c.errorf("unk_id %d is not in the vocabulary of %d", *f.UnkID, len(f.Vocab))
	default:
		unk, out.unk = int32(*f.UnkID), f.Vocab[*f.UnkID].piece
	}
	m := newUnigram(out.ids, out.ids, scores, worst, unk, f.ByteFallback)
	if err := m.coversAll(); err != nil {
		return modelVocab{}, c.errorf("%w", err)
	}
	out.model = m
	return out, nil
}

// coversAll refuses a model that has no token for some text, for which the
// library gives an error when it meets it.
func (m *unigram) coversAll() error {
	if m.unk >= 0 || m.byteIDs != nil && !hasNone(m.byteIDs) {
		return nil
	}
	for b, r := range byteRunes {
		if _, ok := m.ids[string(r)]; !ok {
			return fmt.Errorf("unk_id is missing, and there is no token for every byte (0x%02X has none)", b)
		}
	}
	return nil
}

func hasNone(byteIDs *[256]int32) bool {
	for _, id := range byteIDs {
		if id < 0 {
			return true
		}
	}
	return false
}

// hasBytes reports whether each byte of s has a token.
func hasBytes(byteIDs *[256]int32, s string) bool {
	for i := range len(s) {
		if byteIDs[s[i]] < 0 {
			return false
		}
	}
	return true
}
