package quantize_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/safetensors"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/quantize"
)

// shared is a file beside the repository that a clone lacks.
func shared(t *testing.T, path string) string {
	t.Helper()
	path = filepath.Join("..", "..", "shared", path)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is absent", path)
	}
	return path
}

// dequant.safetensors holds three matrices as ggml's reference dequantizes them.
func TestLoadedRowsAreTheReferences(t *testing.T) {
	f, err := safetensors.Open(shared(t, "golden/gguf/dequant.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	compared := 0
	for _, typ := range []string{"Q8_0", "Q4_0", "Q5_0", "Q4_K", "Q6_K"} {
		m := loadGGUF(t, shared(t, "golden/gguf/tiny-"+typ+".gguf"))
		tensors, err := m.GGUFTensors()
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range tensors {
			data, err := f.Bytes(typ + "/" + g.Name)
			if err != nil {
				continue // not one of the three
			}
			compared++
			want, row := make([]float32, len(data)/4), make([]float32, g.Matrix.In)
			compute.Dequantize(compute.F32, want, data)
			for i := range g.Matrix.Out {
				g.Matrix.Row(row, g.Row(i))
				if !slices.Equal(row, want[i*len(row):(i+1)*len(row)]) {
					t.Fatalf("%s: row %d of %s differs", typ, i, g.Name)
				}
			}
		}
	}
	if compared != 15 {
		t.Errorf("%d matrices compared, want 15", compared)
	}
}

// A GGUF model saved as a Hugging Face directory is the same model.
func TestGGUFAndDirectoryAgree(t *testing.T) {
	m := loadGGUF(t, "testdata/tiny-f32.gguf")
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := model.Load(cpu.New(2), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ids := []int32{5, 300, 17, 17, 4, 255}
	if !slices.Equal(logits(t, m, ids), logits(t, again, ids)) {
		t.Error("logits differ")
	}
}

func TestTheTokenizerComesBack(t *testing.T) {
	want := trained(t, 300)
	path, _ := write(t, loadGolden(t, "llama-gqa"), vocab(t, 300), quantize.Options{})
	v, err := model.Vocab(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	if got.VocabSize() != 307 {
		t.Errorf("%d tokens, want 307 with the unused ones", got.VocabSize())
	}
	for _, text := range []string{"", "the printer is out of paper", "[PAD303] <|endoftext|> ünïcödé\n\t 12345"} {
		if a, b := got.Encode(text, true), want.Encode(text, true); !slices.Equal(a, b) {
			t.Errorf("%q: ids %v, want %v", text, a, b)
		}
	}
	if eos, ok := got.EOS(); !ok || eos != 1 {
		t.Errorf("EOS %d, %v", eos, ok)
	}
}

// Every field of a vocabulary survives, of a llama one too.
func TestVocabRoundTrip(t *testing.T) {
	v := tokenizer.GGUFVocab{Model: "llama", Pre: "default", BOS: 1, EOS: 2, PAD: 4, UNK: 0, AddEOS: true, ChatTemplate: "{{ x }}"}
	for id := range 307 {
		v.Tokens = append(v.Tokens, string(rune('Ā'+id)))
		v.Types = append(v.Types, int32(1+id%6))
		v.Scores = append(v.Scores, -float32(id))
	}
	path, _ := write(t, loadGolden(t, "llama-gqa"), v, quantize.Options{})
	got, err := model.Vocab(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, v) {
		t.Errorf("vocabulary %+v, want %+v", got, v)
	}
}

// A real model tells the same story from a GGUF file, read with the file's own
// tokenizer.
func TestStoriesFromGGUF(t *testing.T) {
	dir := shared(t, "models/stories260K")
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tok.GGUF()
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(cpu.New(2), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, typ := range []string{"F32", "Q8_0"} {
		path, _ := write(t, m, v, quantize.Options{Type: typ})
		read, err := model.Vocab(path)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.FromGGUF(read)
		if err != nil {
			t.Fatal(err)
		}
		bos, _ := tok.BOS()
		err = model.NewDecoder(loadGGUF(t, path)).Generate(t.Context(), [][]int32{{bos}}, model.GenerateOptions{MaxTokens: 30},
			func(_ int, a model.Answer) error {
				const want = "Once upon a time, there was a little girl named Lily."
				if text := tok.Decode(a.Tokens, true); !strings.HasPrefix(strings.TrimSpace(text), want) {
					t.Errorf("%s: %q, want %q", typ, text, want)
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
	}
}
