package tokenizer_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// byteLevelDocument changes a trained tokenizer.json.
func byteLevel(t *testing.T, changes fields) *tokenizer.Tokenizer {
	t.Helper()
	vocab := fields{"ab": 256}
	for id := range 256 {
		vocab[byteRune(id)] = id
	}
	all := fields{
		"pre_tokenizer": fields{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"decoder":       fields{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"model":         fields{"type": "BPE", "vocab": vocab, "merges": []string{"a b"}},
	}
	for k, v := range changes {
		if m, ok := v.(fields); ok && k == "model" {
			model := fields{"type": "BPE", "vocab": vocab, "merges": []string{"a b"}}
			for mk, mv := range m {
				model[mk] = mv
			}
			v = model
		}
		all[k] = v
	}
	return mustParse(t, all)
}

// byteRune is the character of a byte as GPT-2's encoder.py computes it.
func byteRune(b int) string {
	next := rune(256)
	for i := range 256 {
		printable := i >= 33 && i <= 126 || i >= 161 && i <= 172 || i >= 174
		if i == b && printable {
			return string(rune(i))
		}
		if i == b {
			return string(next)
		}
		if !printable {
			next++
		}
	}
	return ""
}

func splitThenBytes(regexes ...string) fields {
	var steps []fields
	for _, r := range regexes {
		steps = append(steps, fields{"type": "Split", "pattern": fields{"Regex": r}, "behavior": "Isolated", "invert": false})
	}
	steps = append(steps, fields{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})
	return fields{"type": "Sequence", "pretokenizers": steps}
}

const (
	llama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

func TestGGUFPreTokenizers(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes fields
		want    string
	}{
		{"byte-level", nil, "gpt-2"},
		{"llama3", fields{"pre_tokenizer": splitThenBytes(llama3), "model": fields{"ignore_merges": true}}, "llama-bpe"},
		{"llama3 by merges", fields{"pre_tokenizer": splitThenBytes(llama3)}, "llama-bpe"},
		{"qwen2", fields{"pre_tokenizer": splitThenBytes(qwen2), "normalizer": fields{"type": "NFC"}}, "qwen2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := byteLevel(t, c.changes)
			v, err := tok.GGUF()
			if err != nil || v.Pre != c.want || v.Model != "gpt2" {
				t.Fatalf("GGUF: model %q, pre %q, %v; want gpt2, %s", v.Model, v.Pre, err, c.want)
			}
			again, err := tokenizer.FromGGUF(v)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"ab 12345\n\n ab'S", "", "日本 \t x"} {
				if a, b := tok.Encode(text, true), again.Encode(text, true); !slices.Equal(a, b) {
					t.Errorf("Encode(%q) = %v, from GGUF %v", text, a, b)
				}
			}
		})
	}
}

func TestGGUFRefuses(t *testing.T) {
	unreachable := fields{"type": "BPE", "vocab": fields{"a": 0, "b": 1, "ab": 2}, "merges": []string{}, "ignore_merges": true}
	for id := range 256 {
		unreachable["vocab"].(fields)[byteRune(id)] = id + 3
	}
	unreachable["vocab"].(fields)["ab"] = 2 // keep
	unreachable["vocab"].(fields)["a"], unreachable["vocab"].(fields)["b"] = 0, 1
	template := fields{"type": "TemplateProcessing", "single": []fields{{"SpecialToken": fields{"id": "a", "type_id": 0}}, {"Sequence": fields{"id": "A", "type_id": 0}}},
		"special_tokens": fields{"a": fields{"id": "a", "ids": []int{0}, "tokens": []string{"a"}}}}
	for _, c := range []struct {
		name    string
		changes fields
		want    string
	}{
		{"normalizer", fields{"normalizer": fields{"type": "Lowercase"}}, "normalizer: llama.cpp applies none"},
		{"another form", fields{"normalizer": fields{"type": "NFKC"}}, "normalizer: llama.cpp applies none"},
		{"prefix space", fields{"pre_tokenizer": fields{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}}, "pre_tokenizer: llama.cpp has none"},
		{"other regex", fields{"pre_tokenizer": splitThenBytes(`\p{L}+`)}, "pre_tokenizer: llama.cpp has none"},
		{"no pre-tokenizer", fields{"pre_tokenizer": nil}, "pre_tokenizer: llama.cpp has none"},
		{"template", fields{"post_processor": template}, "adds more than BOS"},
		{"lstrip", fields{"added_tokens": []fields{added(257, "<m>", "lstrip")}}, `added token "<m>": lstrip`},
		{"single word", fields{"added_tokens": []fields{added(257, "<m>", "single_word")}}, "single_word"},
		{"suffix", fields{"model": fields{"end_of_word_suffix": "</w>"}}, "end_of_word_suffix"},
		{"ignore_merges", fields{"model": unreachable}, `ignore_merges is true but llama.cpp sets it to false for gpt-2, which changes the token "ab"`},
		{"neither kind", fields{"decoder": nil, "pre_tokenizer": nil, "normalizer": fields{"type": "Replace", "pattern": fields{"String": " "}, "content": "▁"}}, "neither byte-level nor has byte_fallback"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := byteLevel(t, c.changes).GGUF()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %s", err, c.want)
			}
		})
	}
}

func TestGGUFOfLlamaStyle(t *testing.T) {
	tok := llamaLike(t)
	v, err := tok.GGUF()
	if err != nil {
		t.Fatal(err)
	}
	if v.Model != "llama" || !v.AddSpacePrefix || v.UNK != 0 || v.Types[0] != 2 || v.Types[1] != 3 || v.Types[2] != 6 || v.Types[259] != 1 {
		t.Errorf("model %q, space prefix %t, unk %d, types %v", v.Model, v.AddSpacePrefix, v.UNK, v.Types)
	}
	if !(v.Scores[261] > v.Scores[262] && v.Scores[262] > v.Scores[263]) {
		t.Errorf("scores of ▁a, ▁▁, ab: %v, want them in the order of the merges", v.Scores[261:264])
	}
	again, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := again.Write(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", " ", "ab   ab", "é", "<s>ab <unk>"} {
		want := tok.Encode(text, true)
		if got := again.Encode(text, true); !slices.Equal(got, want) {
			t.Errorf("from GGUF: Encode(%q) = %v, want %v", text, got, want)
		}
		if got := loaded.Encode(text, true); !slices.Equal(got, want) {
			t.Errorf("from GGUF and written: Encode(%q) = %v, want %v", text, got, want)
		}
		if got, want := again.Decode(want, true), tok.Decode(want, true); got != want {
			t.Errorf("from GGUF: Decode = %q, want %q", got, want)
		}
	}
}

// A pair that merges do not list but whose text is a token would be merged by
// llama.cpp.
func TestGGUFRefusesOtherMerges(t *testing.T) {
	vocab := fields{"▁": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "abc": 6}
	for b := range 256 {
		vocab["<0x"+strings.ToUpper(string("0123456789abcdef"[b>>4]))+strings.ToUpper(string("0123456789abcdef"[b&15]))+">"] = 7 + b
	}
	model := func(merges ...string) fields {
		return fields{
			"normalizer": fields{"type": "Replace", "pattern": fields{"String": " "}, "content": "▁"},
			"model":      fields{"type": "BPE", "byte_fallback": true, "vocab": vocab, "merges": merges},
		}
	}
	if _, err := mustParse(t, model("b c", "a bc", "a b")).GGUF(); err != nil {
		t.Errorf("abc is made in one way only: %v", err)
	}
	_, err := mustParse(t, model("b c", "a b", "ab c")).GGUF()
	if err == nil || !strings.Contains(err.Error(), `differ for the text of the token "abc"`) {
		t.Errorf("got error %v, want one about abc", err)
	}
}

func TestFromGGUFRefuses(t *testing.T) {
	good := func() tokenizer.GGUFVocab {
		return tokenizer.GGUFVocab{Model: "gpt2", Pre: "gpt-2", Tokens: []string{"a", "b", "ab"}, Merges: []string{"a b"}, BOS: -1, EOS: -1, PAD: -1, UNK: -1}
	}
	if _, err := tokenizer.FromGGUF(good()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(v *tokenizer.GGUFVocab)
		want   string
	}{
		{"model", func(v *tokenizer.GGUFVocab) { v.Model = "rwkv" }, `model "rwkv" is not supported`},
		{"pre", func(v *tokenizer.GGUFVocab) { v.Pre = "kimi-k2" }, `pre-tokenizer "kimi-k2" is not supported`},
		{"no tokens", func(v *tokenizer.GGUFVocab) { v.Tokens = nil }, "no tokens"},
		{"types", func(v *tokenizer.GGUFVocab) { v.Types = []int32{1} }, "1 token types for 3 tokens"},
		{"scores", func(v *tokenizer.GGUFVocab) { v.Model, v.Scores = "llama", []float32{1} }, "1 scores for 3 tokens"},
		{"duplicate", func(v *tokenizer.GGUFVocab) { v.Tokens[1] = "a" }, `tokens 0 and 1 are both "a"`},
		{"not UTF-8", func(v *tokenizer.GGUFVocab) { v.Tokens[1] = "\xff" }, "token 1 is not valid UTF-8"},
		{"merge", func(v *tokenizer.GGUFVocab) { v.Merges = []string{"ab"} }, `merge 0: "ab": want two tokens`},
		{"short merge", func(v *tokenizer.GGUFVocab) { v.Merges = []string{""} }, "merge 0"},
		{"merge of unknown", func(v *tokenizer.GGUFVocab) { v.Merges = []string{"a c"} }, `"c" is not in the vocabulary`},
		{"bos", func(v *tokenizer.GGUFVocab) { v.BOS = 3 }, "BOS is token 3 of 3"},
		{"unk", func(v *tokenizer.GGUFVocab) { v.UNK = math.MinInt32 }, "UNK is token"},
		{"add bos", func(v *tokenizer.GGUFVocab) { v.AddBOS = true }, "BOS token is to be added"},
		{"add eos", func(v *tokenizer.GGUFVocab) { v.AddEOS = true }, "EOS token is to be added"},
	} {
		v := good()
		c.change(&v)
		if _, err := tokenizer.FromGGUF(v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %s", c.name, err, c.want)
		}
	}
}

func TestFromGGUFAddsAround(t *testing.T) {
	nan := float32(math.NaN())
	v := tokenizer.GGUFVocab{
		Model: "llama", Tokens: []string{"<unk>", "<s>", "</s>", "a", "b", "ab", "X"}, Types: []int32{2, 3, 3, 1, 1, 1, 4},
		Scores: []float32{0, 0, 0, nan, 0, -1, 0}, BOS: 1, EOS: 2, PAD: -1, UNK: 0, AddBOS: true, AddEOS: true, ChatTemplate: "{{x}}",
	}
	tok, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Encode("abXé", true), []int32{1, 5, 6, 0, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("Encode = %v, want %v", got, want)
	}
	if tok.ChatTemplate() != "{{x}}" || tok.IsSpecial(6) || !tok.IsSpecial(0) {
		t.Error("the template or the token types are lost")
	}
	if err := tok.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "<0x00>") {
		t.Errorf("Write without byte tokens: %v", err)
	}
}
