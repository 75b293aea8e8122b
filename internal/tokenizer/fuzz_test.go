package tokenizer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retort-ml/retort/internal/tokenizer"
)

func FuzzParse(f *testing.F) {
	f.Add(document(f, nil))
	f.Add(document(f, fields{
		"added_tokens":   []fields{added(11, "X", "lstrip", "rstrip", "normalized"), added(12, "Y", "single_word")},
		"normalizer":     fields{"type": "Replace", "pattern": fields{"Regex": "[ab]+"}, "content": "▁"},
		"pre_tokenizer":  fields{"type": "Split", "pattern": fields{"Regex": `\s`}, "behavior": "MergedWithNext", "invert": true},
		"decoder":        fields{"type": "Strip", "content": "x", "start": 1, "stop": 1},
		"post_processor": fields{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false},
	}))
	dir := f.TempDir()
	if err := train(f, tokenizer.TrainOptions{VocabSize: 270}).Write(dir); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := tokenizer.Parse(data)
		if err != nil {
			return
		}
		for _, text := range []string{"", " ab  Xcab\n", "é\xff😀", string(data[:min(len(data), 100)])} {
			ids := tok.Encode(text, true)
			for _, id := range ids {
				if int(id) >= tok.VocabSize() || id < 0 {
					t.Fatalf("Encode(%q): id %d of %d", text, id, tok.VocabSize())
				}
			}
			tok.Decode(ids, false)
			s := tok.NewStream(true)
			for _, id := range ids {
				s.Next(id)
			}
			s.Flush()
		}
		if again, err := tokenizer.Parse(data); err != nil || again.Hash() != tok.Hash() {
			t.Fatalf("parsed twice, it is another one: %v", err)
		}
		if v, err := tok.GGUF(); err == nil {
			if _, err := tokenizer.FromGGUF(v); err != nil {
				t.Fatalf("GGUF cannot be read back: %v", err)
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	tok := train(f, tokenizer.TrainOptions{VocabSize: 500, Tokens: []string{"label", "café", "日"}})
	for _, text := range []string{"", "kalo mi", "I'll  <|endoftext|> label caf長 日本", "\xff\xe2\x82", strings.Repeat("\n ", 9)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids := tok.Encode(text, false)
		got := tok.Decode(ids, false)
		if utf8.ValidString(text) && got != text {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
		if _, streamed := stream(tok.NewStream(false), ids); streamed != got {
			t.Errorf("Stream gives %q, Decode %q", streamed, got)
		}
	})
}
