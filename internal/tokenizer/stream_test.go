package tokenizer_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// llamaLike has byte fallback and the decoder of Llama 2.
func llamaLike(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	vocab := fields{"<unk>": 0, "<s>": 1}
	for b := range 256 {
		vocab["<0x"+strings.ToUpper(string("0123456789abcdef"[b>>4]))+strings.ToUpper(string("0123456789abcdef"[b&15]))+">"] = 2 + b
	}
	for i, token := range []string{"▁", "a", "b", "▁a", "▁▁", "ab"} {
		vocab[token] = 258 + i
	}
	return mustParse(t, fields{
		"added_tokens": []fields{added(0, "<unk>", "special"), added(1, "<s>", "special")},
		"normalizer": fields{"type": "Sequence", "normalizers": []fields{
			{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": fields{"String": " "}, "content": "▁"},
		}},
		"decoder": fields{"type": "Sequence", "decoders": []fields{
			{"type": "Replace", "pattern": fields{"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
			{"type": "Strip", "content": " ", "start": 1, "stop": 0},
		}},
		"model": fields{"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
			"merges": []string{"▁ a", "▁ ▁", "a b"}},
	})
}

func stream(s *tokenizer.Stream, ids []int32) (pieces []string, all string) {
	for _, id := range ids {
		pieces = append(pieces, s.Next(id))
	}
	pieces = append(pieces, s.Flush())
	return pieces, strings.Join(pieces, "")
}

func TestStreamOfBytes(t *testing.T) {
	tok := llamaLike(t)
	ids := tok.Encode("a é", false)
	s := tok.NewStream(true)
	pieces, _ := stream(s, ids)
	if got, want := strings.Join(pieces, "|"), "a| ||é|"; got != want {
		t.Errorf("pieces of %v: %q, want %q", ids, got, want)
	}
	// The stream begins anew: the first space is stripped again.
	if pieces, all := stream(s, append([]int32{1}, tok.Encode("ab", false)...)); all != "ab" {
		t.Errorf("second text: %q", pieces)
	}
	if _, all := stream(s, []int32{2 + 0xE2, 2 + 0x82}); all != "\uFFFD\uFFFD" {
		t.Errorf("two bytes of a character: %q, want one U+FFFD each, as Decode", all)
	}
}

func TestStreamEqualsDecode(t *testing.T) {
	trailing := fields{"type": "Sequence", "decoders": []fields{{"type": "Fuse"}, {"type": "Strip", "content": "b", "start": 0, "stop": 2}}}
	joined := fields{"type": "Sequence", "decoders": []fields{{"type": "Fuse"}, {"type": "Replace", "pattern": fields{"String": "ab"}, "content": "é"}}}
	metaspace := fields{"type": "Metaspace", "replacement": " ", "prepend_scheme": "always"}
	strip := fields{"type": "Sequence", "decoders": []fields{{"type": "Fuse"}, {"type": "Strip", "content": "a", "start": 3, "stop": 0}}}
	for name, tok := range map[string]*tokenizer.Tokenizer{
		"byte-level": train(t, tokenizer.TrainOptions{VocabSize: 400, Tokens: []string{"café"}}),
		"none":       mustParse(t, fields{"decoder": nil}),
		"trailing":   mustParse(t, fields{"decoder": trailing}),
		"joined":     mustParse(t, fields{"decoder": joined}),
		"metaspace":  mustParse(t, fields{"decoder": metaspace}),
		"strip":      mustParse(t, fields{"decoder": strip}),
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 300 {
				ids := make([]int32, r.IntN(12))
				for i := range ids {
					ids[i] = int32(r.IntN(tok.VocabSize()+2) - 1)
				}
				skip := r.IntN(2) == 0
				pieces, all := stream(tok.NewStream(skip), ids)
				if want := tok.Decode(ids, skip); all != want {
					t.Fatalf("%v: stream %q = %q, Decode %q", ids, pieces, all, want)
				}
				for _, p := range pieces {
					if !utf8.ValidString(p) {
						t.Fatalf("%v: piece %q is not valid UTF-8", ids, p)
					}
				}
			}
		})
	}
}

// The time for one id must not grow with the text before it.
func TestLongStream(t *testing.T) {
	tok := llamaLike(t)
	s := tok.NewStream(true)
	start := time.Now()
	n := 0
	for range 60_000 {
		n += len(s.Next(263))
	}
	if n != 120_000 {
		t.Errorf("%d bytes, want 120000", n)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("60,000 ids took %v", d)
	}
}

func TestStreamOfTextEqualsDecode(t *testing.T) {
	tok := llamaLike(t)
	for _, text := range []string{"", " ", "a", "  a b", "日本語 ab é", "😀a😀", "<s>a<s> a"} {
		for _, skip := range []bool{true, false} {
			ids := tok.Encode(text, false)
			if pieces, all := stream(tok.NewStream(skip), ids); all != tok.Decode(ids, skip) {
				t.Errorf("%q: stream %q, Decode %q", text, pieces, tok.Decode(ids, skip))
			}
		}
	}
}
