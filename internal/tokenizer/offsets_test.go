package tokenizer_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// parts writes each token as piece=what it stands for.
func parts(tok *tokenizer.Tokenizer, text string) string {
	var out []string
	for _, token := range tok.EncodeTokens(text, true) {
		out = append(out, token.Piece+"="+text[token.Start:token.End])
	}
	return strings.Join(out, "|")
}

func TestOffsets(t *testing.T) {
	byteLevel := func(trim, prefix bool) *tokenizer.Tokenizer {
		vocab := fields{}
		for i, token := range []string{"a", "Ġ", "Ġa", "Ã", "©", "ðŁĺ", "Ģ", "ð", "Ł", "ĺ", "ðŁ"} {
			vocab[token] = i
		}
		return mustParse(t, fields{
			"added_tokens":   []fields{added(11, "<x>", "lstrip", "rstrip")},
			"pre_tokenizer":  fields{"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true},
			"post_processor": fields{"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": true},
			"model":          fields{"type": "BPE", "vocab": vocab, "merges": []string{"Ġ a", "ð Ł", "ðŁ ĺ"}},
		})
	}
	spaces := func(n fields) *tokenizer.Tokenizer { return mustParse(t, fields{"normalizer": n}) }
	for _, c := range []struct {
		name string
		tok  *tokenizer.Tokenizer
		text string
		want string
	}{
		{"bert", wordPieceLike(t), "U\u0308naffable\u200b 中\t!", "[CLS]=|un=U\u0308n|##aff=aff|##able=able|中=中|!=!|[SEP]="},
		{"bytes of a character", byteLevel(false, false), "a é😀", "a=a|Ġ= |Ã=é|©=é|ðŁĺ=😀|Ģ=😀"},
		{"spaces kept", byteLevel(false, false), "a a", "a=a|Ġa= a"},
		{"spaces trimmed", byteLevel(true, false), "a a  a", "a=a|Ġa=a|Ġ=|Ġa=a"},
		{"prefix space", byteLevel(true, true), "a a", "Ġa=a|Ġa=a"},
		{"added token takes spaces", byteLevel(false, false), "a <x> a", "a=a|<x>= <x> |a=a"},
		{"invalid", byteLevel(false, false), "a\xff\xe2\x82a", "a=a|a=a"},
		{"llama", llamaLike(t), "a b", "▁a=a|▁= |b=b"},
		{"llama bytes", llamaLike(t), "é", "▁=é|<0xC3>=é|<0xA9>=é"},
		{"unigram", unigramLike(t), "xy ab", "▁=x|<unk>=xy|▁= |ab=ab|</s>="},
		{"decomposed", spaces(fields{"type": "NFKC"}), "ﬀabc", "<unk>=ﬀ|<unk>=ﬀ|abc=abc"},
		{"replaced", spaces(fields{"type": "Replace", "pattern": fields{"Regex": "x+"}, "content": "ab"}), "xxxc", "abc=xxxc"},
		{"removed", spaces(fields{"type": "StripAccents"}), "a\u0301b\u0301c", "abc=a\u0301b\u0301c"},
	} {
		if got := parts(c.tok, c.text); got != c.want {
			t.Errorf("%s: %q\n got %s\nwant %s", c.name, c.text, got, c.want)
		}
	}
}

// EncodeTokens gives the ids of Encode, and offsets that never go back.
func TestEncodeTokensAgreesWithEncode(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	toks := tokenizersOfEachKind(t)
	alphabet := []string{"a", "b", "ab", " ", "  ", "\n", "é", "e\u0301", "😀", "中", "<s>", "</s>", "[SEP]", "<unk>", "\xff", "▁", "1", "'s", "!"}
	for name, tok := range toks {
		for range 500 {
			var b strings.Builder
			for range r.IntN(12) {
				b.WriteString(alphabet[r.IntN(len(alphabet))])
			}
			text := b.String()
			var ids []int32
			last := 0
			for _, token := range tok.EncodeTokens(text, false) {
				ids = append(ids, token.ID)
				if token.Start < 0 || token.Start > token.End || token.End > len(text) || token.End < last {
					t.Fatalf("%s: %q: token %+v after one that ends at %d", name, text, token, last)
				}
				last = token.End
			}
			if want := tok.Encode(text, false); !slices.Equal(ids, want) {
				t.Fatalf("%s: %q: EncodeTokens %v, Encode %v", name, text, ids, want)
			}
		}
	}
}
