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

// mergeRef is what mergeAll means: the pair with the lowest rank, the leftmost
// of equals, again and again.
func mergeRef(m *bpe, tokens []wordToken) []int32 {
	ids := idsOf(tokens)
	for {
		best := -1
		for i := range len(ids) - 1 {
			to, ok := m.merges[pairKey(ids[i], ids[i+1])]
			if ok && (best < 0 || to.rank < m.merges[pairKey(ids[best], ids[best+1])].rank) {
				best = i
			}
		}
		if best < 0 {
			return ids
		}
		ids[best] = m.merges[pairKey(ids[best], ids[best+1])].id
		ids = slices.Delete(ids, best+1, best+2)
	}
}

func idsOf(tokens []wordToken) []int32 {
	ids := make([]int32, len(tokens))
	for i, t := range tokens {
		ids[i] = t.id
	}
	return ids
}

// scoreRef is what scored means, on strings.
func scoreRef(m *scored, word string) []string {
	var parts []string
	for _, r := range word {
		parts = append(parts, string(r))
	}
	for {
		best, bestRank := -1, int32(0)
		for i := range len(parts) - 1 {
			id, ok := m.ids[parts[i]+parts[i+1]]
			if ok && (best < 0 || m.ranks[id] < bestRank) {
				best, bestRank = i, m.ranks[id]
			}
		}
		if best < 0 {
			return parts
		}
		parts[best] += parts[best+1]
		parts = slices.Delete(parts, best+1, best+2)
	}
}

// randomBPE has the letters a to d and merges of random known tokens.
func randomBPE(t *testing.T, r *rand.Rand, merges int) *bpe {
	t.Helper()
	m := &bpe{ids: map[string]int32{}, unk: -1, cache: newWordCache[wordToken]()}
	tokens := []string{"a", "b", "c", "d"}
	for id, token := range tokens {
		m.ids[token] = int32(id)
	}
	var list [][2]string
	for range merges {
		pair := [2]string{tokens[r.IntN(len(tokens))], tokens[r.IntN(len(tokens))]}
		if token := pair[0] + pair[1]; len(token) < 9 {
			if _, ok := m.ids[token]; !ok {
				m.ids[token] = int32(len(tokens))
				tokens = append(tokens, token)
			}
			list = append(list, pair)
		}
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if err := m.addMerges(list); err != nil {
		t.Fatal(err)
	}
	return m
}

func randomWord(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcd"[r.IntN(4)]
	}
	return string(b)
}

func TestMergeAllAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		m := randomBPE(t, r, 40)
		word := randomWord(r, r.IntN(40)+1)
		want := mergeRef(m, m.symbols(nil, word))
		for range 2 { // the second time from the cache
			got := m.tokenize(nil, word)
			if !slices.Equal(idsOf(got), want) {
				t.Fatalf("tokenize(%q) = %v, want %v; merges %v", word, got, want, m.mergeList)
			}
			start := int32(0)
			for _, token := range got {
				if id := m.ids[word[start:token.end]]; id != token.id {
					t.Fatalf("tokenize(%q) = %v: %q is not token %d", word, got, word[start:token.end], token.id)
				}
				start = token.end
			}
		}
	}
}

func TestScoredAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		ids := randomBPE(t, r, 40).ids
		scores := make([]float32, len(ids))
		for i := range scores {
			scores[i] = float32(r.IntN(10)) // with ties
		}
		m := newScored(ids, scores, -1)
		word := randomWord(r, r.IntN(40)+1)
		if got, _ := m.merge(word); !slices.Equal(got, scoreRef(m, word)) {
			t.Fatalf("merge(%q) = %q, want %q; ids %v scores %v", word, got, scoreRef(m, word), ids, scores)
		}
	}
}

// Where GGUF says that scores do the same as merges, they must, on any text.
func TestScoresFromMerges(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	agreed := 0
	for range 400 {
		m := randomBPE(t, r, 12)
		v, err := newVocab(m.ids)
		if err != nil {
			t.Fatal(err)
		}
		scores := make([]float32, len(v.tokens))
		for id, token := range v.tokens {
			scores[id] = -float32(1000 + id)
			if rank, ok := m.lastMerge(token); ok {
				scores[id] = -float32(rank)
			}
		}
		s := newScored(m.ids, scores, -1)
		tok := &Tokenizer{vocab: v, added: newAddedTokens(nil, nil)}
		if tok.sameIDs(m, s) != nil {
			continue
		}
		agreed++
		for range 50 {
			word := randomWord(r, r.IntN(30)+1)
			if a, b := m.tokenize(nil, word), s.tokenize(nil, word); !slices.Equal(a, b) {
				t.Fatalf("%q: by merges %v, by scores %v; merges %v", word, a, b, m.mergeList)
			}
		}
	}
	if agreed < 50 {
		t.Errorf("only %d of 400 vocabularies could be compared", agreed)
	}
}

func TestSymbols(t *testing.T) {
	ids := map[string]int32{"<unk>": 0, "a": 1, "##b": 2, "b</w>": 3, "##b</w>": 4, "b": 5, "<0xC3>": 6, "<0xA9>": 7}
	for _, c := range []struct {
		name string
		m    bpe
		word string
		want []int32
	}{
		{"unknown dropped", bpe{unk: -1}, "axxb", []int32{1, 5}},
		{"unknown each", bpe{unk: 0}, "axxb", []int32{1, 0, 0, 5}},
		{"unknown fused", bpe{unk: 0, fuseUnk: true}, "xxaxx", []int32{0, 1, 0}},
		{"bytes", bpe{unk: 0, byteFallback: true}, "aéx", []int32{1, 6, 7, 0}},
		{"bytes overtake an unknown", bpe{unk: 0, byteFallback: true}, "xéa", []int32{6, 7, 0, 1}},
		{"prefix and suffix", bpe{unk: -1, prefix: "##", suffix: "</w>"}, "abb", []int32{1, 2, 4}},
		{"suffix of the only one", bpe{unk: -1, suffix: "</w>"}, "b", []int32{3}},
	} {
		c.m.ids, c.m.byteIDs = ids, lookupByteTokens(ids)
		if got := idsOf(c.m.symbols(nil, c.word)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q = %v, want %v", c.name, c.word, got, c.want)
		}
	}
}

// A word of a million characters must take about a hundred times as long as
// one of ten thousand, not ten thousand times.
func TestLongWords(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	m := randomBPE(t, r, 60)
	scores := make([]float32, len(m.ids))
	for i := range scores {
		scores[i] = -float32(i)
	}
	s := newScored(m.ids, scores, -1)
	for name, tokenize := range map[string]func([]wordToken, string) []wordToken{"bpe": m.tokenize, "scored": s.tokenize} {
		for _, word := range []string{strings.Repeat("a", 300_000), randomWord(r, 300_000)} {
			start := time.Now()
			if got := tokenize(nil, word); len(got) == 0 {
				t.Errorf("%s: no ids", name)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s: 300,000 characters took %v", name, d)
			}
		}
	}
}

func TestKnownRegexesCutEverything(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	alphabet := []rune("aZé1½ \t\n\r\u00a0\u3000'sSlL.,$日\u0301😀ſ\x00")
	for name, scan := range knownRegexes {
		for range 300 {
			var b strings.Builder
			for range r.IntN(20) + 1 {
				b.WriteRune(alphabet[r.IntN(len(alphabet))])
			}
			text := b.String()
			for rest := text; rest != ""; {
				n := scan(rest)
				if n <= 0 || n > len(rest) || !utf8.ValidString(rest[:n]) {
					t.Fatalf("%s: %q: match of %d bytes at %q", name, text, n, rest)
				}
				rest = rest[n:]
			}
		}
	}
}

func ExampleTrain() {
	texts := slices.Values([]string{"low lower lowest", "low low"})
	tok, err := Train(texts, TrainOptions{VocabSize: 262})
	if err != nil {
		panic(err)
	}
	ids := tok.Encode("low", true)
	fmt.Println(tok.VocabSize(), ids, tok.Decode(ids, true))
	// Output: 262 [0 260] low
}
