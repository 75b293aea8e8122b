package tokenizer_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// english returns at least n bytes of English with some names, numbers and
// punctuation. The words come back as they do in real text.
func english(n int) string {
	var b strings.Builder
	words := strings.Fields(`the of and to in a is that it was for on are with as his they be at one have this from
		or had by hot but some what there we can out other were all your when up use word how said an each she which do
		their time if will way about many then them would write like so these her long make thing see him two has look
		more day could go come did my sound no most number who over know water than call first people may down side been
		now find any new work part take get place made live where after back little only round man year came show every
		good me give our under name very through just form sentence great think say help low line differ turn cause`)
	for i := 0; b.Len() < n; i++ {
		word := words[(i*i+7*i)%len(words)]
		switch i % 17 {
		case 5:
			b.WriteString(word + ", ")
		case 11:
			b.WriteString(strings.ToUpper(word[:1]) + word[1:] + "'s ")
		case 16:
			b.WriteString(word + ".\n")
		case 8:
			b.WriteString("1984 ")
		default:
			b.WriteString(word + " ")
		}
	}
	return b.String()
}

// byteLevelVocabularies are GPT-2's tokens and merges with three regular
// expressions.
func byteLevelVocabularies(tb testing.TB) map[string]*tokenizer.Tokenizer {
	v := ggufVocab(tb, shared(tb, "fixtures/tokenizers/ggml-vocab-gpt-2.gguf"))
	out := make(map[string]*tokenizer.Tokenizer)
	for _, pre := range []string{"gpt-2", "llama-bpe", "qwen2", "deepseek-v3"} {
		v.Pre = pre
		tok, err := tokenizer.FromGGUF(v)
		if err != nil {
			tb.Fatal(err)
		}
		out[pre] = tok
	}
	return out
}

func BenchmarkEncodeEnglish(b *testing.B) {
	text := english(1 << 20)
	if data, err := os.ReadFile(os.Getenv("RETORT_BENCH_TEXT")); err == nil {
		text = string(data)
	}
	for name, tok := range byteLevelVocabularies(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				tok.Encode(text, true)
			}
		})
	}
}

// hostile are texts on which careless code takes the square of their length.
func hostile(n int) map[string]string {
	return map[string]string{
		"one letter": strings.Repeat("a", n),
		"spaces":     strings.Repeat(" ", n),
		"newlines":   strings.Repeat(" \n", n/2),
		"emoji":      strings.Repeat("😀", n/4),
		"no UTF-8":   strings.Repeat("\xff\xe2\x82", n/3),
		"accents":    "e" + strings.Repeat("\u0301", n/2),
		"digits":     strings.Repeat("7", n),
		"specials":   strings.Repeat("<|end", n/5),
		"quotes":     strings.Repeat("'", n),
	}
}

// tokenizersOfEachKind has one of each kind of model.
func tokenizersOfEachKind(tb testing.TB) map[string]*tokenizer.Tokenizer {
	out := map[string]*tokenizer.Tokenizer{"llama": llamaLike(tb), "unigram": unigramLike(tb), "wordpiece": wordPieceLike(tb)}
	trained := train(tb, tokenizer.TrainOptions{VocabSize: 400})
	out["byte-level"] = trained
	return out
}

func TestHostileTextIsLinear(t *testing.T) {
	const size = 1 << 20
	for name, tok := range tokenizersOfEachKind(t) {
		for what, text := range hostile(size) {
			start := time.Now()
			ids := tok.Encode(text, true)
			if d := time.Since(start); d > 15*time.Second {
				t.Errorf("%s: 1 MiB of %s took %v", name, what, d)
			}
			if len(ids) == 0 && what != "no UTF-8" && what != "spaces" && what != "newlines" {
				t.Errorf("%s: 1 MiB of %s has no ids", name, what)
			}
		}
	}
}
