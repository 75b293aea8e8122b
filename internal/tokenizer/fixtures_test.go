package tokenizer_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// shared returns the path of a file that a clone of the repository does not
// have, or skips.
func shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s: %v", name, err)
	}
	return path
}

// get returns the value of a metadata key, or without if the file lacks it.
func get[T gguf.Value](t testing.TB, m gguf.Metadata, key string, without T) T {
	t.Helper()
	v, ok, err := gguf.Get[T](m, "tokenizer."+key)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return without
	}
	return v
}

// ggufVocab reads a vocabulary with llama.cpp's defaults.
func ggufVocab(t testing.TB, path string) tokenizer.GGUFVocab {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := f.Metadata()
	v := tokenizer.GGUFVocab{
		Model: get(t, m, "ggml.model", ""), Pre: get(t, m, "ggml.pre", ""),
		Tokens: get[[]string](t, m, "ggml.tokens", nil), Types: get[[]int32](t, m, "ggml.token_type", nil),
		Scores: get[[]float32](t, m, "ggml.scores", nil), Merges: get[[]string](t, m, "ggml.merges", nil),
		AddEOS: get(t, m, "ggml.add_eos_token", false),
	}
	llama := v.Model == "llama"
	v.AddBOS = get(t, m, "ggml.add_bos_token", llama)
	v.AddSpacePrefix = get(t, m, "ggml.add_space_prefix", llama)
	without := map[string]uint32{}
	if llama {
		without = map[string]uint32{"bos": 1, "eos": 2, "unknown": 0}
	}
	id := func(role string) int32 {
		value, ok := without[role]
		if !ok {
			value = 1<<32 - 1
		}
		return int32(get(t, m, "ggml."+role+"_token_id", value))
	}
	if v.Model == "bert" {
		v.AddBOS = true
		without = map[string]uint32{"bos": 101, "unknown": 100, "seperator": 102, "padding": 0}
	}
	v.BOS, v.EOS, v.PAD, v.UNK, v.SEP = id("bos"), id("eos"), id("padding"), id("unknown"), id("seperator")
	return v
}

// cases reads llama.cpp's texts and the ids that it gives for them.
func cases(t *testing.T, path string) (texts []string, ids [][]int32) {
	t.Helper()
	in, err := os.ReadFile(path + ".inp")
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(path + ".out")
	if err != nil {
		t.Fatal(err)
	}
	texts = strings.Split(string(in), "\n__ggml_vocab_test__\n")
	for line := range strings.Lines(string(out)) {
		var list []int32
		for _, field := range strings.Fields(line) {
			id, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, int32(id))
		}
		ids = append(ids, list)
	}
	// The file of texts ends with a separator.
	if texts[len(texts)-1] == "" && len(texts) == len(ids)+1 {
		texts = texts[:len(ids)]
	}
	if len(texts) != len(ids) {
		t.Fatalf("%s: %d texts, %d lists of ids", path, len(texts), len(ids))
	}
	return texts, ids
}

func TestLlamaCppVocabularies(t *testing.T) {
	for _, name := range []string{"gpt-2", "falcon", "phi-3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := shared(t, "fixtures/tokenizers/ggml-vocab-"+name+".gguf")
			tok, err := tokenizer.FromGGUF(ggufVocab(t, path))
			if err != nil {
				t.Fatal(err)
			}
			texts, want := cases(t, path)
			check := func(what string, tok *tokenizer.Tokenizer) {
				for i, text := range texts {
					got := tok.Encode(text, false)
					if !slices.Equal(got, want[i]) {
						t.Errorf("%s: Encode(%q)\n got %v\nwant %v", what, text, got, want[i])
					}
					if back := tok.Decode(got, false); back != text {
						t.Errorf("%s: Decode(Encode(%q)) = %q", what, text, back)
					}
				}
			}
			check("read", tok)

			// Each of the ways out and in again once: they take a second in CI.
			switch name {
			case "phi-3":
				v, err := tok.GGUF()
				if err != nil {
					t.Fatal(err)
				}
				again, err := tokenizer.FromGGUF(v)
				if err != nil {
					t.Fatal(err)
				}
				check("from its own GGUF", again)
				// Its runs of spaces all have the score -1e9.
				if err := tok.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "have the same score") {
					t.Errorf("Write: got %v, want an error about equal scores", err)
				}
			case "gpt-2":
				dir := t.TempDir()
				if err := tok.Write(dir); err != nil {
					t.Fatal(err)
				}
				loaded, err := tokenizer.Load(dir)
				if err != nil {
					t.Fatal(err)
				}
				check("from its own tokenizer.json", loaded)
			case "falcon":
				if v, err := tok.GGUF(); err != nil || v.Pre != "falcon" {
					t.Errorf("GGUF: pre-tokenizer %q, %v", v.Pre, err)
				}
			}
		})
	}
}

// The same vocabulary as a GGUF file and as a tokenizer.json. The cases are
// without [CLS] and [SEP].
func TestBERT(t *testing.T) {
	path := shared(t, "fixtures/tokenizers/ggml-vocab-bert-bge.gguf")
	data, err := os.ReadFile(shared(t, "fixtures/tokenizers/bert-base-uncased.json"))
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	fromGGUF, err := tokenizer.FromGGUF(ggufVocab(t, path))
	if err != nil {
		t.Fatal(err)
	}
	texts, want := cases(t, path)
	for name, tok := range map[string]*tokenizer.Tokenizer{"tokenizer.json": fromJSON, "GGUF": fromGGUF} {
		for i, text := range texts {
			if got := tok.Encode(text, false); !slices.Equal(got, want[i]) {
				t.Errorf("%s: Encode(%q)\n got %v\nwant %v", name, text, got, want[i])
			}
			around := slices.Concat([]int32{101}, want[i], []int32{102})
			if got := tok.Encode(text, true); !slices.Equal(got, around) {
				t.Errorf("%s: Encode(%q) with special tokens = %v, want %v", name, text, got, around)
			}
		}
		if id, _ := tok.ID("##ing"); id != 2075 {
			t.Errorf("%s: ##ing is %d, want 2075", name, id)
		}
		if got := tok.Decode([]int32{101, 19204, 3989, 999, 102}, true); got != "tokenization!" {
			t.Errorf("%s: Decode = %q", name, got)
		}
	}
}

func TestStories260K(t *testing.T) {
	tok, err := tokenizer.Load(shared(t, "models/stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	const text = "Once upon a time, there was a little girl named Lily."
	ids := tok.Encode(text, true)
	want := []string{"<s>", "▁Once", "▁upon", "▁a", "▁time", ",", "▁there", "▁was", "▁a", "▁little", "▁g", "ir", "l", "▁named", "▁Lily", "."}
	var got []string
	for _, id := range ids {
		token, _ := tok.Token(id)
		got = append(got, token)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Encode(%q) = %q, want %q", text, got, want)
	}
	if got := tok.Decode(ids, true); got != text {
		t.Errorf("Decode = %q, want %q", got, text)
	}
	v, err := tok.GGUF()
	if err != nil {
		t.Fatal(err)
	}
	again, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{text, "", " ", "  two  spaces ", "naïve 日本 😀\n\ttabs", "<s>x</s> y"} {
		if a, b := tok.Encode(text, true), again.Encode(text, true); !slices.Equal(a, b) {
			t.Errorf("Encode(%q): by merges %v, by scores %v", text, a, b)
		}
	}
}

func TestCohere(t *testing.T) {
	data, err := os.ReadFile(shared(t, "fixtures/tokenizers/cohere-tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	texts, _ := cases(t, shared(t, "fixtures/tokenizers/ggml-vocab-gpt-2.gguf"))
	for _, text := range texts {
		ids := tok.Encode(text, true)
		if ids[0] != 5 || ids[len(ids)-1] != 7 {
			t.Errorf("Encode(%q) = %v, want 5 and 7 around it", text, ids)
		}
		if got := tok.Decode(ids, true); got != text {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
	}
	if _, err := tok.GGUF(); err == nil || !strings.Contains(err.Error(), "adds more than BOS") {
		t.Errorf("GGUF: got %v, want an error about the post-processor", err)
	}
}
