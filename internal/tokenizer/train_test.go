package tokenizer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// texts are n short texts of made-up words, some of them frequent.
func texts(n int) []string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	words := make([]string, 800)
	for i := range words {
		var b strings.Builder
		for range r.IntN(4) + 1 {
			b.WriteString([]string{"ka", "lo", "mi", "ter", "ing", "sho", "un", "é"}[r.IntN(8)])
		}
		words[i] = b.String()
	}
	out := make([]string, n)
	for i := range out {
		var b strings.Builder
		for range r.IntN(15) + 5 {
			b.WriteString(words[r.IntN(r.IntN(len(words))+1)])
			b.WriteByte(" .,\n"[min(r.IntN(20), 3)%4])
		}
		out[i] = b.String()
	}
	return out
}

func train(t testing.TB, o tokenizer.TrainOptions) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(slices.Values(texts(500)), o)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// A corpus small enough to merge by hand.
func TestTrainByHand(t *testing.T) {
	corpus := "ab ab abc abc abc bc bc bc"
	tok, err := tokenizer.Train(slices.Values([]string{corpus}), tokenizer.TrainOptions{VocabSize: 265})
	if err != nil {
		t.Fatal(err)
	}
	// The words are ab, Ġab, 3 Ġabc, 3 Ġbc. Pairs: bc 6, ab 5, Ġa 4, Ġb 3, so bc;
	// then Ġa 4, Ġ·bc 3, a·bc 3, ab 2, so Ġa; then Ġ·bc 3 before Ġa·bc 3, since Ġ
	// has the lower id. The rest occurs once.
	var got []string
	for id := int32(259); int(id) < tok.VocabSize(); id++ {
		token, _ := tok.Token(id)
		got = append(got, token)
	}
	want := []string{"bc", "Ġa", "Ġbc", "Ġabc"}
	if !slices.Equal(got, want) {
		t.Errorf("merged tokens %q, want %q", got, want)
	}
}

func TestTrainTies(t *testing.T) {
	// cd and ab occur twice each: a has the lower id.
	tok, err := tokenizer.Train(slices.Values([]string{"cd\nab", "ab\ncd"}), tokenizer.TrainOptions{VocabSize: 260})
	if err != nil {
		t.Fatal(err)
	}
	if token, _ := tok.Token(259); token != "ab" {
		t.Errorf("first merge is %q, want ab", token)
	}
}

func TestTrainIsDeterministic(t *testing.T) {
	corpus := texts(300)
	options := tokenizer.TrainOptions{VocabSize: 600, Tokens: []string{"label one", "label two"}}
	files := func() (out []byte) {
		tok, err := tokenizer.Train(slices.Values(corpus), options)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := tok.Write(dir); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"} {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, data...)
		}
		return out
	}
	first := files()
	for range 3 {
		rand.Shuffle(len(corpus), func(i, j int) { corpus[i], corpus[j] = corpus[j], corpus[i] })
		if !bytes.Equal(files(), first) {
			t.Fatal("the same texts in another order give other files")
		}
	}
}

func TestTrainedTokenizer(t *testing.T) {
	tok := train(t, tokenizer.TrainOptions{VocabSize: 600, Tokens: []string{"card_arrival", "yes", "A", "café"}})
	if tok.VocabSize() != 600 {
		t.Errorf("VocabSize = %d, want 600", tok.VocabSize())
	}
	for id, want := range []string{"<|bos|>", "<|endoftext|>", "<|pad|>", "card_arrival", "yes", "A", "café"} {
		if got, _ := tok.Token(int32(id)); got != want || tok.IsSpecial(int32(id)) != (id < 3) {
			t.Errorf("Token(%d) = %q, special %t", id, got, tok.IsSpecial(int32(id)))
		}
		if ids := tok.Encode(want, false); !slices.Equal(ids, []int32{int32(id)}) {
			t.Errorf("Encode(%q) = %v, want one token", want, ids)
		}
	}
	bos, _ := tok.BOS()
	eos, _ := tok.EOS()
	pad, _ := tok.PAD()
	if bos != 0 || eos != 1 || pad != 2 {
		t.Errorf("BOS, EOS, PAD = %d, %d, %d", bos, eos, pad)
	}
	var allBytes [256]byte
	for i := range allBytes {
		allBytes[i] = byte(i)
	}
	samples := append(texts(5), "", " ", "naïve 日本 😀\u0301", "caf長 café", strings.ToValidUTF8(string(allBytes[:]), "?"), "x<|endoftext|>y", strings.Repeat(" \n", 50))
	dir := t.TempDir()
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tok.GGUF()
	if err != nil {
		t.Fatal(err)
	}
	if v.Model != "gpt2" || v.Pre != "gpt-2" || !v.AddBOS || v.AddEOS || v.BOS != 0 || v.EOS != 1 || v.PAD != 2 || v.UNK != -1 {
		t.Errorf("GGUF: %s %s %t %t %d %d %d %d", v.Model, v.Pre, v.AddBOS, v.AddEOS, v.BOS, v.EOS, v.PAD, v.UNK)
	}
	if want := []int32{3, 3, 3, 4, 4, 4, 4, 1}; !slices.Equal(v.Types[:8], want) {
		t.Errorf("GGUF token types start with %v, want %v", v.Types[:8], want)
	}
	fromGGUF, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range samples {
		ids := tok.Encode(text, true)
		if got := tok.Decode(ids[1:], false); got != text || ids[0] != 0 {
			t.Errorf("Decode(Encode(%q)) = %q with BOS %d", text, got, ids[0])
		}
		for name, other := range map[string]*tokenizer.Tokenizer{"loaded": loaded, "from GGUF": fromGGUF} {
			if got := other.Encode(text, true); !slices.Equal(got, ids) {
				t.Errorf("%s: Encode(%q) = %v, want %v", name, text, got, ids)
			}
		}
	}
}

// The first bytes of 長, as characters, read "é": merged with "caf" they would be
// the added token.
func TestTrainNeverMergesToAnAddedToken(t *testing.T) {
	corpus := []string{strings.Repeat("caf長 ", 20)}
	tok, err := tokenizer.Train(slices.Values(corpus), tokenizer.TrainOptions{Tokens: []string{"café"}})
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode("caf長", false)
	if slices.Contains(ids, 3) || tok.Decode(ids, false) != "caf長" {
		t.Errorf("caf長 becomes %v, %q", ids, tok.Decode(ids, false))
	}
}

func TestTrainSizes(t *testing.T) {
	train := func(o tokenizer.TrainOptions, texts ...string) int {
		tok, err := tokenizer.Train(slices.Values(texts), o)
		if err != nil {
			t.Fatal(err)
		}
		return tok.VocabSize()
	}
	for _, c := range []struct {
		name  string
		o     tokenizer.TrainOptions
		texts []string
		want  int
	}{
		{"no texts", tokenizer.TrainOptions{}, nil, 259},
		{"too few pairs", tokenizer.TrainOptions{VocabSize: 5000}, []string{"ab ab"}, 260},
		{"rare pairs wanted", tokenizer.TrainOptions{VocabSize: 5000, MinFrequency: 1}, []string{"ab ab"}, 261},
		{"rare pairs not wanted", tokenizer.TrainOptions{VocabSize: 5000, MinFrequency: 3}, []string{"ab ab"}, 259},
		{"only what is asked for", tokenizer.TrainOptions{VocabSize: 260}, []string{"abcabcabc"}, 260},
		{"a byte that is a token", tokenizer.TrainOptions{VocabSize: 260, Tokens: []string{"A"}}, nil, 259},
		{"not within tokens", tokenizer.TrainOptions{Tokens: []string{"zz"}}, []string{"zzzzzzzz zz"}, 260},
		{"runs", tokenizer.TrainOptions{VocabSize: 262}, []string{strings.Repeat("a", 5000)}, 262},
	} {
		if got := train(c.o, c.texts...); got != c.want {
			t.Errorf("%s: VocabSize = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		o    tokenizer.TrainOptions
		want string
	}{
		{"size", tokenizer.TrainOptions{VocabSize: 258}, "vocab_size 258: the bytes and the named tokens alone are 259"},
		{"negative size", tokenizer.TrainOptions{VocabSize: -1}, "vocab_size -1"},
		{"frequency", tokenizer.TrainOptions{MinFrequency: -1}, "min_frequency -1"},
		{"empty token", tokenizer.TrainOptions{Tokens: []string{""}}, "a token is empty"},
		{"twice", tokenizer.TrainOptions{EOS: "x", Tokens: []string{"x"}}, `token "x" is named twice`},
		{"not UTF-8", tokenizer.TrainOptions{Tokens: []string{"a\xff"}}, "not valid UTF-8"},
		{"a byte's name", tokenizer.TrainOptions{Tokens: []string{"é"}}, `"é" is how a byte-level vocabulary writes the byte 0xE9`},
		{"a word's name", tokenizer.TrainOptions{Tokens: []string{"Ġyes"}}, `"Ġyes" is how a byte-level vocabulary writes " yes"`},
	} {
		_, err := tokenizer.Train(slices.Values([]string{"ab"}), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %s", c.name, err, c.want)
		}
	}
	err := tokenizer.TrainOptions{VocabSize: 1, MinFrequency: -1}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("Validate: %v, want both faults", err)
	}
}

// trainRef counts all pairs anew for every merge.
func trainRef(words map[string]int, merges int) (out []string) {
	split := map[string][]string{}
	for w := range words {
		for _, r := range w {
			split[w] = append(split[w], string(r))
		}
	}
	ids := map[string]int{}
	for i := range 128 {
		ids[string(rune(i))] = i
	}
	for range merges {
		counts := map[[2]string]int{}
		for w, symbols := range split {
			for i := range len(symbols) - 1 {
				counts[[2]string{symbols[i], symbols[i+1]}] += words[w]
			}
		}
		var best [2]string
		bestCount := 1
		for p, n := range counts {
			if _, exists := ids[p[0]+p[1]]; exists {
				continue
			}
			before := ids[p[0]] < ids[best[0]] || ids[p[0]] == ids[best[0]] && ids[p[1]] < ids[best[1]]
			if n > bestCount || n == bestCount && n > 1 && before {
				best, bestCount = p, n
			}
		}
		if bestCount < 2 {
			return out
		}
		ids[best[0]+best[1]] = 1000 + len(out)
		out = append(out, best[0]+best[1])
		for w, symbols := range split {
			for i := 0; i+1 < len(symbols); i++ {
				if symbols[i] == best[0] && symbols[i+1] == best[1] {
					symbols[i] += symbols[i+1]
					symbols = slices.Delete(symbols, i+1, i+2)
				}
			}
			split[w] = symbols
		}
	}
	return out
}

func TestTrainAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for round := range 40 {
		words := map[string]int{}
		var corpus []string
		for range 30 {
			b := make([]byte, r.IntN(12)+1)
			for i := range b {
				b[i] = "aabc"[r.IntN(4)]
			}
			n := r.IntN(4) + 1
			words[string(b)] += n
			for range n {
				corpus = append(corpus, string(b))
			}
		}
		want := trainRef(words, 25)
		tok, err := tokenizer.Train(slices.Values(corpus), tokenizer.TrainOptions{VocabSize: 259 + 25})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for id := 259; id < tok.VocabSize(); id++ {
			token, _ := tok.Token(int32(id))
			got = append(got, token)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d: words %v\n got %q\nwant %q", round, words, got, want)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	corpus := texts(10_000)
	for b.Loop() {
		if _, err := tokenizer.Train(slices.Values(corpus), tokenizer.TrainOptions{VocabSize: 2000}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := train(b, tokenizer.TrainOptions{VocabSize: 2000})
	text := strings.Join(texts(1000), " ")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text, false)
	}
}
