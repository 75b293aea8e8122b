package tokenizer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

type fields map[string]any

// document is a small tokenizer.json: letters a to e, space and a few merges.
// Its top-level keys are replaced by those of changes.
func document(t testing.TB, changes fields) []byte {
	t.Helper()
	vocab := fields{}
	for i, token := range []string{"<unk>", "a", "b", "c", "d", "e", " ", "ab", "abc", "<s>", "</s>"} {
		vocab[token] = i
	}
	doc := fields{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": []fields{},
		"normalizer": nil, "pre_tokenizer": nil, "post_processor": nil, "decoder": fields{"type": "Fuse"},
		"model": fields{"type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": []string{"a b", "ab c"}},
	}
	for key, value := range changes {
		doc[key] = value
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func added(id int, content string, flags ...string) fields {
	f := fields{"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false}
	for _, flag := range flags {
		f[flag] = true
	}
	return f
}

func mustParse(t testing.TB, changes fields) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Parse(document(t, changes))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestParseRefuses(t *testing.T) {
	model := func(changes fields) fields {
		m := fields{"type": "BPE", "vocab": fields{"a": 0, "b": 1, "ab": 2}, "merges": []string{"a b"}}
		for k, v := range changes {
			m[k] = v
		}
		return fields{"model": m}
	}
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 20) + strings.Repeat(`]}`, 20)
	for _, c := range []struct {
		name    string
		changes fields
		want    string
	}{
		{"version", fields{"version": "2.0"}, `version "2.0" is not supported`},
		{"unknown key", fields{"extra": 1}, `unknown field "extra"`},
		{"no model", fields{"model": nil}, "model: missing"},
		{"unigram", fields{"model": fields{"type": "Unigram"}}, `model: Unigram: the vocab is missing`},
		{"unknown model", fields{"model": fields{"type": "Morfessor"}}, `model: type "Morfessor" is not supported`},
		{"model without type", fields{"model": fields{"vocab": fields{}}}, "model: the object has no type"},
		{"unknown model field", model(fields{"unk_id": 3}), `model: BPE: unknown field "unk_id"`},
		{"dropout", model(fields{"dropout": 0.1}), "dropout 0.1"},
		{"no vocab", model(fields{"vocab": nil}), "vocab"},
		{"vocab is a list", model(fields{"vocab": []int{}}), "want an object"},
		{"id is a string", model(fields{"vocab": fields{"a": "0"}}), `token "a": id is 0, want a number`},
		{"id is an object", model(fields{"vocab": fields{"a": fields{}}}), `token "a"`},
		{"negative id", model(fields{"vocab": fields{"a": -1}}), `token "a": id -1 is out of range`},
		{"large id", model(fields{"vocab": fields{"a": 0, "b": 1, "ab": 1 << 30}}), "largest id is 1073741824"},
		{"id past int32", model(fields{"vocab": fields{"a": 1 << 31}}), "out of range"},
		{"fractional id", model(fields{"vocab": fields{"a": 0.5}}), "out of range"},
		{"id used twice", model(fields{"vocab": fields{"a": 0, "b": 0, "ab": 1}}), `tokens "a" and "b" both have id 0`},
		{"token listed twice", fields{"model": raw(`{"type":"BPE","vocab":{"a":0,"a":1},"merges":[]}`)}, `token "a" is listed twice`},
		{"merge of unknown", model(fields{"merges": []string{"a x"}}), `merges: entry 0 ("a" with "x"): "x" is not in the vocabulary`},
		{"merge to unknown", model(fields{"merges": []string{"b a"}}), `"ba" is not in the vocabulary`},
		{"merge of three", model(fields{"merges": []string{"a b c"}}), "merges: entry 0"},
		{"merge of one", model(fields{"merges": [][]string{{"a"}}}), "want two tokens"},
		{"merge is a number", model(fields{"merges": []int{1}}), "merges: want a list"},
		{"merge without prefix", model(fields{"continuing_subword_prefix": "##"}), "does not start with the continuing_subword_prefix"},
		{"unk not there", model(fields{"unk_token": "<unk>"}), `unk_token "<unk>" is not in the vocabulary`},
		{"normalizer", fields{"normalizer": fields{"type": "Precompiled"}}, `normalizer: Precompiled: precompiled_charsmap is missing`},
		{"normalizer in sequence", fields{"normalizer": fields{"type": "Sequence", "normalizers": []fields{{"type": "Append"}}}}, `normalizer.normalizers[0]: type "Append" is not supported`},
		{"deep sequence", fields{"normalizer": raw(deep)}, "levels of Sequence"},
		{"prepend nothing", fields{"normalizer": fields{"type": "Prepend"}}, "a field is missing"},
		{"empty pattern", fields{"normalizer": fields{"type": "Replace", "pattern": fields{"String": ""}, "content": ""}}, "matches everywhere"},
		{"two patterns", fields{"normalizer": fields{"type": "Replace", "pattern": fields{"String": "a", "Regex": "a"}, "content": ""}}, "either String or Regex"},
		{"pre-tokenizer", fields{"pre_tokenizer": fields{"type": "RandomSplit"}}, `pre_tokenizer: type "RandomSplit" is not supported`},
		{"back reference", fields{"pre_tokenizer": fields{"type": "Split", "pattern": fields{"Regex": `(a)\1`}, "behavior": "Isolated"}}, `regular expression "(a)\\1": the escape "\\1" is not supported`},
		{"behavior", fields{"pre_tokenizer": fields{"type": "Split", "pattern": fields{"String": "a"}, "behavior": "Kept"}}, `behavior "Kept"`},
		{"unknown field", fields{"pre_tokenizer": fields{"type": "Digits", "group": 3}}, `pre_tokenizer: Digits: unknown field "group"`},
		{"metaspace", fields{"pre_tokenizer": fields{"type": "Metaspace", "replacement": "__"}}, "want one character"},
		{"metaspace scheme", fields{"pre_tokenizer": fields{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}}, `prepend_scheme "last"`},
		{"metaspace contradiction", fields{"pre_tokenizer": fields{"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": false}}, "add_prefix_space is false"},
		{"post-processor", fields{"post_processor": fields{"type": "BertProcessing"}}, `post_processor: BertProcessing: want sep and cls`},
		{"template of unknown", fields{"post_processor": fields{"type": "TemplateProcessing", "single": []fields{{"SpecialToken": fields{"id": "<x>", "type_id": 0}}}}}, `"<x>" is not in special_tokens`},
		{"template id", fields{"post_processor": fields{"type": "TemplateProcessing", "single": []fields{{"SpecialToken": fields{"id": "x", "type_id": 0}}}, "special_tokens": fields{"x": fields{"id": "x", "ids": []int{99}, "tokens": []string{"x"}}}}}, "id 99 is not in the vocabulary of 11 tokens"},
		{"template of two texts", fields{"post_processor": fields{"type": "TemplateProcessing", "single": []fields{{"Sequence": fields{"id": "B", "type_id": 0}}}}}, "single[0]"},
		{"decoder", fields{"decoder": fields{"type": "Morse"}}, `decoder: type "Morse" is not supported`},
		{"decoder strip", fields{"decoder": fields{"type": "Strip", "content": "", "start": 1, "stop": 0}}, "want one character"},
		{"component is a list", fields{"decoder": []int{1}}, "decoder:"},
		{"added token moved", fields{"added_tokens": []fields{added(3, "a")}}, `"a": its id is 3 there, but 1`},
		{"added token with a gap", fields{"added_tokens": []fields{added(20, "new")}}, `"new": its id is 20 there, but 11`},
		{"added token below zero", fields{"added_tokens": []fields{added(-1, "new")}}, `"new": its id is -1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tokenizer.Parse(document(t, c.changes))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer.json: ") {
				t.Errorf("got error %v, want tokenizer.json: … %s", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "{", "[]", "null", `{"model":`, string(document(t, nil)) + "{}"} {
		if _, err := tokenizer.Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%.20q…): no error", text)
		}
	}
}

func TestEncode(t *testing.T) {
	post := fields{"type": "Sequence", "processors": []fields{
		{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false},
		{"type": "TemplateProcessing", "single": []fields{
			{"SpecialToken": fields{"id": "<s>", "type_id": 0}}, {"Sequence": fields{"id": "A", "type_id": 0}}, {"SpecialToken": fields{"id": "end", "type_id": 0}},
		}, "special_tokens": fields{
			"<s>": fields{"id": "<s>", "ids": []int{9}, "tokens": []string{"<s>"}},
			"end": fields{"id": "end", "ids": []int{10, 10}, "tokens": []string{"</s>", "</s>"}},
		}},
	}}
	specials := []fields{added(9, "<s>", "special"), added(10, "</s>", "special")}
	tok := mustParse(t, fields{"added_tokens": specials, "post_processor": post})
	for _, c := range []struct {
		text string
		want []int32
	}{
		{"", []int32{}},
		{"abcab", []int32{8, 7}},
		{"xabx", []int32{0, 7, 0}},
		{"a<s>b</s>", []int32{1, 9, 2, 10}},
		{"a\xffb", []int32{1, 0, 2}},
	} {
		if got := tok.Encode(c.text, false); !slices.Equal(got, c.want) {
			t.Errorf("Encode(%q) = %v, want %v", c.text, got, c.want)
		}
		around := append(append([]int32{9}, c.want...), 10, 10)
		if got := tok.Encode(c.text, true); !slices.Equal(got, around) {
			t.Errorf("Encode(%q) with special tokens = %v, want %v", c.text, got, around)
		}
	}
	ids := []int32{9, 8, -1, 99, 2, 10}
	if got := tok.Decode(ids, true); got != "abcb" {
		t.Errorf("Decode without special tokens = %q", got)
	}
	if got := tok.Decode(ids, false); got != "<s>abcb</s>" {
		t.Errorf("Decode = %q", got)
	}
	if id, ok := tok.UNK(); id != 0 || !ok {
		t.Errorf("UNK = %d, %t", id, ok)
	}
	if id, ok := tok.BOS(); ok {
		t.Errorf("BOS = %d: no file names one", id)
	}
	if token, ok := tok.Token(8); token != "abc" || !ok {
		t.Errorf("Token(8) = %q, %t", token, ok)
	}
	if _, ok := tok.Token(11); ok || tok.VocabSize() != 11 {
		t.Errorf("Token(11) exists in a vocabulary of %d", tok.VocabSize())
	}
	if id, ok := tok.ID("abc"); id != 8 || !ok {
		t.Errorf("ID(abc) = %d, %t", id, ok)
	}
	if !tok.IsSpecial(9) || tok.IsSpecial(1) || tok.IsSpecial(99) {
		t.Error("IsSpecial: want it for 9 alone")
	}
}

func TestDecodeWithoutDecoder(t *testing.T) {
	tok := mustParse(t, fields{"decoder": nil})
	if got := tok.Decode([]int32{7, 3}, false); got != "ab c" {
		t.Errorf("Decode = %q, want the tokens joined by a space", got)
	}
}

func TestAddedTokens(t *testing.T) {
	prefix := fields{"normalizer": fields{"type": "Sequence", "normalizers": []fields{{"type": "Lowercase"}, {"type": "Prepend", "prepend": " "}}}}
	for _, c := range []struct {
		name   string
		tokens []fields
		text   string
		want   []int32
		with   fields
	}{
		{"longest", []fields{added(11, "XY"), added(12, "XYZ")}, "aXYZXYa", []int32{1, 12, 11, 1}, nil},
		{"leftmost", []fields{added(11, "XY"), added(12, "YZZ")}, "XYZZ", []int32{11, 0, 0}, nil},
		{"in the vocabulary", []fields{added(7, "ab")}, "abcab", []int32{7, 3, 7}, nil},
		{"lstrip", []fields{added(11, "X", "lstrip")}, "a \t\u3000X b", []int32{1, 11, 6, 2}, nil},
		{"rstrip", []fields{added(11, "X", "rstrip")}, "a X \n b", []int32{1, 6, 11, 2}, nil},
		{"strips meet", []fields{added(11, "X", "rstrip"), added(12, "Y", "lstrip")}, "X  Y", []int32{11, 12}, nil},
		{"single word", []fields{added(11, "X", "single_word")}, "X aX Xa X.X_ \u0301X", []int32{11, 6, 1, 0, 6, 0, 1, 6, 11, 0, 0, 0, 6, 0, 0}, nil},
		{"normalized", []fields{added(11, "X", "normalized")}, "a X", []int32{6, 1, 11}, prefix},
		{"normalized start", []fields{added(11, "A", "normalized")}, "AbA", []int32{11, 2, 1}, prefix},
		{"not normalized", []fields{added(11, "X")}, "aXxb", []int32{6, 1, 11, 6, 0, 2}, prefix},
		{"special first", []fields{added(11, "q", "normalized"), added(12, "Q", "normalized", "special")}, "q", []int32{12}, prefix},
		{"empty", []fields{added(11, "")}, "a", []int32{1}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes := fields{"added_tokens": c.tokens}
			for k, v := range c.with {
				changes[k] = v
			}
			tok := mustParse(t, changes)
			if got := tok.Encode(c.text, false); !slices.Equal(got, c.want) {
				t.Errorf("Encode(%q) = %v, want %v", c.text, got, c.want)
			}
		})
	}
}

func TestHash(t *testing.T) {
	base := mustParse(t, nil).Hash()
	var spaced any
	if err := json.Unmarshal(document(t, nil), &spaced); err != nil {
		t.Fatal(err)
	}
	indented, err := json.MarshalIndent(spaced, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	again, err := tokenizer.Parse(indented)
	if err != nil {
		t.Fatal(err)
	}
	if again.Hash() != base {
		t.Error("white space in the file changes the hash")
	}
	vocab := fields{"<unk>": 0, "a": 1, "b": 2, "ab": 3, "ba": 4}
	seen := map[string]string{base: "nothing"}
	for _, c := range []struct {
		name    string
		changes fields
	}{
		{"normalizer", fields{"normalizer": fields{"type": "Lowercase"}}},
		{"pre-tokenizer", fields{"pre_tokenizer": fields{"type": "Whitespace"}}},
		{"decoder", fields{"decoder": nil}},
		{"added token", fields{"added_tokens": []fields{added(9, "<s>")}}},
		{"special token", fields{"added_tokens": []fields{added(9, "<s>", "special")}}},
		{"model", fields{"model": fields{"type": "BPE", "vocab": vocab, "merges": []string{"a b", "b a"}}}},
		{"merge order", fields{"model": fields{"type": "BPE", "vocab": vocab, "merges": []string{"b a", "a b"}}}},
		{"unk", fields{"model": fields{"type": "BPE", "vocab": vocab, "merges": []string{"a b", "b a"}, "unk_token": "<unk>"}}},
		{"template", fields{"post_processor": fields{"type": "TemplateProcessing", "single": []fields{{"Sequence": fields{"id": "A", "type_id": 0}}, {"SpecialToken": fields{"id": "x", "type_id": 0}}}, "special_tokens": fields{"x": fields{"id": "x", "ids": []int{3}, "tokens": []string{"x"}}}}}},
	} {
		h := mustParse(t, c.changes).Hash()
		if other, twice := seen[h]; twice {
			t.Errorf("%s: same hash as %s", c.name, other)
		}
		seen[h] = c.name
	}
}

func TestConcurrentUse(t *testing.T) {
	tok := mustParse(t, nil)
	want := fmt.Sprint(tok.Encode("abcabd", false))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				tok.Encode(strings.Repeat("abd", i%20), false)
				if got := fmt.Sprint(tok.Encode("abcabd", false)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				tok.Decode([]int32{1, 2, 3}, false)
			}
		})
	}
	wg.Wait()
}
