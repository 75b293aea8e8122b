package tokenizer_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// proto writes Protocol Buffers: number, value, number, value, …
func proto(list ...any) []byte {
	var out []byte
	for i := 0; i < len(list); i += 2 {
		number := uint64(list[i].(int))
		switch v := list[i+1].(type) {
		case int:
			out = binary.AppendUvarint(binary.AppendUvarint(out, number<<3), uint64(v))
		case float32:
			out = binary.LittleEndian.AppendUint32(binary.AppendUvarint(out, number<<3|5), math.Float32bits(v))
		case string:
			out = append(binary.AppendUvarint(binary.AppendUvarint(out, number<<3|2), uint64(len(v))), v...)
		case []byte:
			out = append(binary.AppendUvarint(binary.AppendUvarint(out, number<<3|2), uint64(len(v))), v...)
		}
	}
	return out
}

type spmPiece struct {
	text  string
	score float32
	kind  int
}

// spm is a model with <unk>, <s> and </s> before the other pieces.
func spm(trainer, normalizer []byte, pieces ...spmPiece) []byte {
	var out []byte
	for _, p := range slices.Concat([]spmPiece{{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}}, pieces) {
		out = append(out, proto(1, proto(1, p.text, 2, p.score, 3, p.kind))...)
	}
	return append(out, proto(2, trainer, 3, normalizer)...)
}

// charsmap has one rule: Ａ becomes "a b". Its trie has the root at unit 0 and
// every child at its parent's place XOR its byte.
func charsmap() []byte {
	units := make([]uint32, 512)
	offset := func(n uint32) uint32 { return n << 10 }
	// "Ａ" is EF BC A1. The root's children start at 0, EF's at 256.
	units[0] = offset(0)
	at := uint32(0) ^ 0xEF
	units[at] = 0xEF | offset(at^256)
	at = 256 ^ 0xBC
	units[at] = 0xBC | offset(at^(256|0x40))
	at = (256 | 0x40) ^ 0xA1
	units[at] = 0xA1 | 1<<8 | offset(at^300)
	units[300] = 1 << 31
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		out = binary.LittleEndian.AppendUint32(out, u)
	}
	return append(out, "a b\x00"...)
}

var somePieces = []spmPiece{
	{"▁", -2, 1}, {"a", -3, 1}, {"b", -3.1, 1}, {"▁a", -4, 1}, {"ab", -4.2, 1}, {"▁ab", -5, 1}, {"[X]", 0, 4},
}

// load writes files into a directory and loads it.
func load(t *testing.T, files map[string]string) (*tokenizer.Tokenizer, error) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return tokenizer.Load(dir)
}

func TestSentencePiece(t *testing.T) {
	bytes := []spmPiece{}
	for b := range 256 {
		bytes = append(bytes, spmPiece{"<0x" + strings.ToUpper(string("0123456789abcdef"[b>>4])+string("0123456789abcdef"[b&15])) + ">", 0, 6})
	}
	unigram, bpe := proto(3, 1), proto(3, 2)
	for _, c := range []struct {
		name                string
		trainer, normalizer []byte
		extra               []spmPiece
		config              string
		text                string
		want                string
	}{
		{"unigram", unigram, nil, nil, `{}`, "  ab   a ", "<s> ▁ab ▁a"},
		{"unigram, spaces kept", unigram, proto(4, 0), nil, `{}`, " a", "<s> ▁ ▁a"},
		{"no prefix", unigram, proto(3, 0), nil, `{}`, "a a", "<s> a ▁a"},
		{"unknown ones are one", unigram, nil, nil, `{}`, "xya", "<s> ▁ <unk> a"},
		{"user-defined and control", unigram, nil, nil, `{}`, "a[X]<s>b", "<s> ▁a [X] <s> ▁ b"},
		{"prefix at the start alone", unigram, nil, nil, `{"legacy":false}`, "a[X]b", "<s> ▁a [X] b"},
		{"rules", unigram, proto(2, charsmap()), nil, `{}`, "Ａ", "<s> ▁a ▁ b"},
		{"no BOS", unigram, nil, nil, `{"add_bos_token":false,"add_eos_token":true}`, "a", "▁a </s>"},
		{"T5", unigram, nil, nil, `{"tokenizer_class":"T5Tokenizer"}`, "a", "▁a </s>"},
		{"bytes", proto(3, 1, 35, 1), nil, bytes, `{}`, "é", "<s> ▁ <0xC3> <0xA9>"},
		{"BPE", bpe, proto(4, 0), nil, `{}`, "ab a", "<s> ▁ab ▁a"},
		{"BPE, unknown ones are one", bpe, proto(4, 0), nil, `{}`, "xya", "<s> ▁ <unk> a"},
		{"BPE, bytes", proto(3, 2, 35, 1), proto(4, 0), bytes, `{}`, "aé", "<s> ▁a <0xC3> <0xA9>"},
	} {
		model := spm(c.trainer, c.normalizer, append(slices.Clone(somePieces), c.extra...)...)
		tok, err := load(t, map[string]string{"tokenizer.model": string(model), "tokenizer_config.json": c.config})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.Join(pieces(tok, c.text), " "); got != c.want {
			t.Errorf("%s: %q = %s, want %s", c.name, c.text, got, c.want)
		}
		dir := t.TempDir()
		if err := tok.Write(dir); err != nil {
			t.Errorf("%s: Write: %v", c.name, err)
			continue
		}
		again, err := tokenizer.Load(dir)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.Join(pieces(again, c.text), " "); got != c.want {
			t.Errorf("%s: %q from the tokenizer.json written = %s, want %s", c.name, c.text, got, c.want)
		}
	}
}

func TestSentencePieceRefuses(t *testing.T) {
	good := spm(proto(3, 1), nil, somePieces...)
	for _, c := range []struct {
		name  string
		model []byte
		want  string
	}{
		{"cut off", good[:len(good)-1], "the message is cut off"},
		{"no pieces", nil, "there is no unknown piece"},
		{"words", spm(proto(3, 3), nil, somePieces...), "model_type 3"},
		{"suffix", spm(proto(3, 1, 24, 1), nil, somePieces...), "treat_whitespace_as_suffix"},
		{"twice", spm(proto(3, 1), nil, spmPiece{"a", 0, 1}, spmPiece{"a", 0, 1}), `tokens 3 and 4 are both "a"`},
		{"empty piece", spm(proto(3, 1), nil, spmPiece{"", 0, 1}), "piece 3 is empty"},
		{"type", spm(proto(3, 1), nil, spmPiece{"a", 0, 9}), `piece 3 ("a"): type 9`},
		{"unused in BPE", spm(proto(3, 2), nil, spmPiece{"a", 0, 5}), `piece 3 ("a") is UNUSED`},
		{"not UTF-8", spm(proto(3, 1), nil, spmPiece{"\xff", 0, 1}), "not valid UTF-8"},
		{"score", spm(proto(3, 1), nil, spmPiece{"a", float32(math.NaN()), 1}), "its score is not a number"},
		{"unk_id", spm(proto(3, 1, 40, 1), nil, somePieces...), `unk_id: piece 1 ("<s>") is not of the type UNKNOWN`},
		{"charsmap", spm(proto(3, 1), proto(2, "\xff\xff\xff\x7f"), somePieces...), "precompiled_charsmap: the trie has 2147483647 bytes"},
		{"decoding rules", append(slices.Clone(good), proto(5, proto(2, "x"))...), "denormalizer_spec"},
		{"wire type", proto(1, 5), "field 1: wire type 0, want 2"},
		{"group", []byte{1<<3 | 3}, "wire type 3 is not supported"},
	} {
		_, err := load(t, map[string]string{"tokenizer.model": string(c.model)})
		contains(t, c.name, err, c.want)
	}
	_, err := load(t, map[string]string{"tokenizer.model": string(good), "tokenizer_config.json": `{"tokenizer_class":"XLMRobertaTokenizer"}`})
	contains(t, "class", err, `tokenizer_class "XLMRobertaTokenizer": how it uses a SentencePiece model is not known`)
}

func TestT5FromGGUF(t *testing.T) {
	v := tokenizer.GGUFVocab{
		Model: "t5", BOS: -1, EOS: 1, PAD: -1, UNK: 0, AddEOS: true, AddSpacePrefix: true, RemoveExtraSpaces: true, Charsmap: charsmap(),
		Tokens: []string{"<unk>", "</s>", "▁", "a", "b", "▁a"}, Scores: []float32{0, 0, -2, -3, -3, -4}, Types: []int32{2, 3, 1, 1, 1, 1},
	}
	tok, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Encode(" Ａ  x", true), []int32{5, 2, 4, 2, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	v.Scores = nil
	_, err = tokenizer.FromGGUF(v)
	contains(t, "scores", err, "0 scores for 6 tokens")
}
