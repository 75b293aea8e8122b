package tokenizer_test

import (
	"encoding/base64"
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
	f.Add(document(f, fields{
		"normalizer": fields{"type": "Sequence", "normalizers": []fields{
			{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": true, "lowercase": true},
			{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString(charsmap())}, {"type": "Nmt"}, {"type": "NFKC"},
			{"type": "StripAccents"}, {"type": "ByteLevel"}, {"type": "Strip", "strip_left": true, "strip_right": true},
		}},
		"pre_tokenizer": fields{"type": "Sequence", "pretokenizers": []fields{
			{"type": "UnicodeScripts"}, {"type": "BertPreTokenizer"}, {"type": "CharDelimiterSplit", "delimiter": "b"}, {"type": "Digits"},
			{"type": "Split", "pattern": fields{"Regex": `(?<=a)(?i:b)++(?!c)|\p{N}{1,3}(?=(?:\d{3})*\b)`}, "behavior": "Contiguous"},
		}},
		"decoder": fields{"type": "Sequence", "decoders": []fields{
			{"type": "CTC"}, {"type": "WordPiece"}, {"type": "BPEDecoder"}, {"type": "ByteFallback"},
		}},
		"post_processor": fields{"type": "RobertaProcessing", "sep": []any{"</s>", 10}, "cls": []any{"<s>", 9}},
		"model": fields{"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [][]any{{"<unk>", 0}, {"a", -1}, {"<0x41>", -2}, {"ab", -3},
			{"<s>", 0}, {"</s>", 0}, {"b", -2}, {"c", -2}, {"d", 0}, {"e", 0}, {"f", 0}}},
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
		use(t, tok, "", " ab  Xcab\n", "é\xff😀", string(data[:min(len(data), 100)]))
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
