package tokenizer_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// unigramLike is a small Unigram with Metaspace, as T5 has it.
func unigramLike(tb testing.TB) *tokenizer.Tokenizer {
	tb.Helper()
	return mustParse(tb, fields{
		"added_tokens":   []fields{added(0, "<unk>", "special"), added(1, "</s>", "special")},
		"pre_tokenizer":  fields{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
		"decoder":        fields{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
		"post_processor": template("$A", "</s>", 1),
		"model": fields{"type": "Unigram", "unk_id": 0, "vocab": [][]any{
			{"<unk>", 0}, {"</s>", 0}, {"▁", -2}, {"a", -3}, {"b", -3.5}, {"ab", -4}, {"▁a", -4.5}, {"abab", -7.5}, {"é", -9},
		}},
	})
}

func template(_, eos string, id int) fields {
	return fields{
		"type":           "TemplateProcessing",
		"single":         []fields{{"Sequence": fields{"id": "A", "type_id": 0}}, {"SpecialToken": fields{"id": eos, "type_id": 0}}},
		"pair":           []fields{},
		"special_tokens": fields{eos: fields{"id": eos, "ids": []int{id}, "tokens": []string{eos}}},
	}
}

// wordPieceLike is a small BERT.
func wordPieceLike(tb testing.TB) *tokenizer.Tokenizer {
	tb.Helper()
	vocab := fields{}
	for i, token := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "a", "##a", "中", "!", "caf", "##e"} {
		vocab[token] = i
	}
	return mustParse(tb, fields{
		"added_tokens":   []fields{added(2, "[CLS]", "special"), added(3, "[SEP]", "special")},
		"normalizer":     fields{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer":  fields{"type": "BertPreTokenizer"},
		"post_processor": fields{"type": "BertProcessing", "sep": []any{"[SEP]", 3}, "cls": []any{"[CLS]", 2}},
		"decoder":        fields{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":          fields{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20, "vocab": vocab},
	})
}

func pieces(tok *tokenizer.Tokenizer, text string) []string {
	var out []string
	for _, t := range tok.EncodeTokens(text, true) {
		out = append(out, t.Piece)
	}
	return out
}

func TestUnigram(t *testing.T) {
	tok := unigramLike(t)
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a", []string{"▁a", "</s>"}},                                // -4.5 and not -2-3
		{"ab", []string{"▁", "ab", "</s>"}},                          // -6 beats -4.5-3.5
		{"abab", []string{"▁", "abab", "</s>"}},                      // -9.5 beats -10
		{"xyb z", []string{"▁", "<unk>", "b", "▁", "<unk>", "</s>"}}, // unknown ones in a row are one
		{"", []string{"</s>"}},
	} {
		if got := pieces(tok, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q = %q, want %q", c.text, got, c.want)
		}
	}
	bytes := mustParse(t, fields{"model": fields{"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [][]any{
		{"<unk>", 0}, {"a", -1}, {"<0xC3>", -2}, {"<0xA9>", -2},
	}}})
	if got, want := pieces(bytes, "aéz"), []string{"a", "<unk>"}; !slices.Equal(got, want) {
		t.Errorf("a run with a byte that has no token = %q, want %q", got, want)
	}
	if got, want := pieces(bytes, "éa"), []string{"<0xC3>", "<0xA9>", "a"}; !slices.Equal(got, want) {
		t.Errorf("bytes = %q, want %q", got, want)
	}
}

func TestWordPiece(t *testing.T) {
	tok := wordPieceLike(t)
	for _, c := range []struct {
		text string
		want []string
	}{
		{"Unaffable!", []string{"[CLS]", "un", "##aff", "##able", "!", "[SEP]"}},
		{"unx a\u00a0中a", []string{"[CLS]", "[UNK]", "a", "中", "a", "[SEP]"}},
		{"CAFÉ\u200b", []string{"[CLS]", "caf", "##e", "[SEP]"}},
		{"aaaaaaaaaaaaaaaaaaaaa", []string{"[CLS]", "[UNK]", "[SEP]"}}, // 21 characters
	} {
		if got := pieces(tok, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q = %q, want %q", c.text, got, c.want)
		}
	}
	if got := tok.Decode(tok.Encode("Unaffable! a", false), true); got != "unaffable! a" {
		t.Errorf("Decode = %q", got)
	}
}

func TestWordLevel(t *testing.T) {
	tok := mustParse(t, fields{
		"pre_tokenizer": fields{"type": "CharDelimiterSplit", "delimiter": "|"},
		"model":         fields{"type": "WordLevel", "unk_token": "?", "vocab": fields{"?": 0, "to be": 1, "or": 2}},
	})
	if got, want := tok.Encode("to be||or|x", false), []int32{1, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestModelsRefuse(t *testing.T) {
	for _, c := range []struct {
		name, model, want string
	}{
		{"unigram twice", `{"type":"Unigram","unk_id":0,"vocab":[["a",0],["a",1]]}`, `vocab: entries 0 and 1 are both "a"`},
		{"unigram unk", `{"type":"Unigram","unk_id":2,"vocab":[["a",0]]}`, "unk_id 2 is not in the vocabulary of 1"},
		{"unigram without unk", `{"type":"Unigram","unk_id":null,"vocab":[["a",0]]}`, "unk_id is missing"},
		{"unigram piece", `{"type":"Unigram","unk_id":0,"vocab":[["a"]]}`, "want a piece and its score"},
		{"wordpiece unk", `{"type":"WordPiece","vocab":{"a":0}}`, `unk_token "[UNK]" is not in the vocabulary`},
		{"wordpiece chars", `{"type":"WordPiece","vocab":{"[UNK]":0},"max_input_chars_per_word":-1}`, "want a count"},
		{"wordlevel unk", `{"type":"WordLevel","vocab":{"a":0}}`, `unk_token "<unk>" is not in the vocabulary`},
		{"wordlevel field", `{"type":"WordLevel","vocab":{"a":0},"merges":[]}`, `unknown field "merges"`},
	} {
		_, err := tokenizer.Parse(document(t, fields{"model": json.RawMessage(c.model)}))
		contains(t, c.name, err, c.want)
	}
}

func contains(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want an error with %q", what, err, want)
	}
}

// The fast way of WordPiece, which keeps no offsets, gives the ids of the other.
func TestWordPieceFastWay(t *testing.T) {
	tok := wordPieceLike(t)
	r := rand.New(rand.NewPCG(17, 18))
	for range 3000 {
		var b strings.Builder
		for range r.IntN(20) {
			b.WriteString([]string{"un", "do", "A", "É", "e\u0301", "\u0301\x00\u0323", " ", "\n", "\u00a0", ".", "中", "\xff", "İ", "$", "\x7f"}[r.IntN(15)])
		}
		var want []int32
		for _, token := range tok.EncodeTokens(b.String(), true) {
			want = append(want, token.ID)
		}
		if got := tok.Encode(b.String(), true); !slices.Equal(got, want) {
			t.Fatalf("%q: Encode = %v, EncodeTokens %v", b.String(), got, want)
		}
	}
}
