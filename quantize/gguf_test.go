package quantize_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/quantize"
)

func write(t *testing.T, m *model.Model, v tokenizer.GGUFVocab, o quantize.Options) (string, quantize.Summary) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	s, err := quantize.WriteGGUF(path, m, v, o)
	if err != nil {
		t.Fatal(err)
	}
	return path, s
}

// Read from the small F32 file and written again, every tensor must be what
// llama-quantize made of it, queries and keys interleaved as they were.
func TestWrittenTensorsAreLlamaQuantizes(t *testing.T) {
	m := loadGGUF(t, "testdata/tiny-f32.gguf")
	for typ, reference := range map[string]string{"F32": "tiny-f32", "Q8_0": "tiny-Q8_0", "Q4_0": "tiny-Q4_0"} {
		path, _ := write(t, m, vocab(t, 320), quantize.Options{Type: typ, Pure: true})
		got, want := openGGUF(t, path), openGGUF(t, "testdata/"+reference+".gguf")
		if len(got.Tensors()) != len(want.Tensors()) {
			t.Errorf("%s: %d tensors, want %d", typ, len(got.Tensors()), len(want.Tensors()))
		}
		for _, info := range want.Tensors() {
			have, ok := got.Tensor(info.Name)
			if !ok || have.Type != info.Type || !reflect.DeepEqual(have.Dims, info.Dims) {
				t.Errorf("%s: tensor %v, want %v", typ, have, info)
				continue
			}
			if !bytes.Equal(tensorBytes(t, got, info.Name), tensorBytes(t, want, info.Name)) {
				t.Errorf("%s: tensor %s differs", typ, info.Name)
			}
		}
	}
}

func TestWriteAndLoadGiveTheSameModel(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			m, ids := loadGolden(t, name), goldenInts(t, name, "input_ids")[:40]
			want, wantNats := logits(t, m, ids), meanNats(t, m, ids)
			for _, c := range []struct {
				typ        string
				difference float64 // of the mean loss, nats
			}{{"F32", 1e-7}, {"F16", 1e-3}, {"BF16", 8e-3}, {"Q8_0", 1e-2}, {"Q4_0", 0.5}} {
				path, _ := write(t, m, vocab(t, 300), quantize.Options{Type: c.typ})
				again := loadGGUF(t, path)
				wantConfig := m.Config
				wantConfig.BOS, wantConfig.EOS, wantConfig.PAD = 0, []int32{1, 2}, 2 // the vocabulary's, and the model's own end
				if fmt.Sprint(again.Config) != fmt.Sprint(wantConfig) {
					t.Errorf("%s: configuration %v, want %v", c.typ, again.Config, wantConfig)
				}
				if got := meanNats(t, again, ids); !(math.Abs(got-wantNats) <= c.difference) {
					t.Errorf("%s: loss %v nats, want %v", c.typ, got, wantNats)
				}
				if c.typ != "F32" {
					continue
				}
				for i, x := range logits(t, again, ids) {
					if !(math.Abs(float64(x-want[i])) <= 1e-6) {
						t.Fatalf("logit %d is %v, want %v", i, x, want[i])
					}
				}
			}
		})
	}
}

// The keys that llama.cpp's load_hparams and load_vocab throw without, and
// those without which it assumes another model.
func TestMetadataIsComplete(t *testing.T) {
	for _, name := range goldenModels {
		m := loadGolden(t, name)
		path, _ := write(t, m, vocab(t, 300), quantize.Options{Type: "Q4_0", Name: "n", Source: "artifact", License: "mit",
			BaseModel: quantize.BaseModel{Name: "b", Organization: "o", Version: "1", RepoURL: "https://x/y"}})
		c, arch := m.Config, m.Config.ModelType+"."
		want := map[string]any{
			"general.architecture": c.ModelType, "general.type": "model", "general.name": "n",
			"general.file_type": uint32(2), "general.quantization_version": uint32(2),
			"general.license": "mit", "general.base_model.count": uint32(1), "general.base_model.0.name": "b",
			"general.base_model.0.organization": "o", "general.base_model.0.version": "1", "general.base_model.0.repo_url": "https://x/y",
			"retort.source": "artifact", "retort.quantize.type": "Q4_0", "retort.quantize.pure": false,
			arch + "context_length": uint32(256), arch + "embedding_length": uint32(64), arch + "block_count": uint32(3),
			arch + "feed_forward_length": uint32(176), arch + "attention.head_count": uint32(4),
			arch + "attention.head_count_kv":          uint32(c.NumKeyValueHeads),
			arch + "attention.layer_norm_rms_epsilon": float32(c.RMSNormEps),
			arch + "rope.dimension_count":             uint32(16), arch + "rope.freq_base": float32(c.RopeTheta),
			arch + "vocab_size": uint32(307), "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
			"tokenizer.ggml.bos_token_id": uint32(0), "tokenizer.ggml.eos_token_id": uint32(1), "tokenizer.ggml.eot_token_id": uint32(2),
			"tokenizer.ggml.padding_token_id": uint32(2), "tokenizer.ggml.add_bos_token": true, "tokenizer.ggml.add_eos_token": false,
		}
		got := map[string]any{}
		for _, kv := range openGGUF(t, path).Metadata() {
			got[kv.Key] = kv.Value
		}
		for key, value := range want {
			if !reflect.DeepEqual(got[key], value) {
				t.Errorf("%s: %s is %v (%T), want %v (%T)", name, key, got[key], got[key], value, value)
			}
		}
		for _, key := range []string{"tokenizer.ggml.tokens", "tokenizer.ggml.token_type"} {
			if n := reflect.ValueOf(got[key]).Len(); n != 307 {
				t.Errorf("%s: %d of %s, want 307", name, n, key)
			}
		}
		tokens, types := got["tokenizer.ggml.tokens"].([]string), got["tokenizer.ggml.token_type"].([]int32)
		if tokens[306] != "[PAD306]" || types[299] != 1 || types[300] != 5 || types[306] != 5 {
			t.Errorf("%s: filled up with %q, types %v", name, tokens[300:], types[299:])
		}
		if merges, ok := got["tokenizer.ggml.merges"].([]string); !ok || len(merges) != 300-256-3 {
			t.Errorf("%s: %d merges", name, len(merges))
		}
	}
}

// With every bias that there can be, heads of another width than the quotient,
// and an embedding that is written in several chunks.
func TestWriteAndLoadAModelWithBiases(t *testing.T) {
	m := wide(t)
	path, _ := write(t, m, vocab(t, 300), quantize.Options{Type: "F32"})
	again := loadGGUF(t, path)
	wantConfig := m.Config
	wantConfig.BOS, wantConfig.EOS, wantConfig.PAD = 0, []int32{1}, 2
	wantConfig.InitializerRange = 0.02 // no key says it
	if fmt.Sprint(again.Config) != fmt.Sprint(wantConfig) {
		t.Errorf("configuration %v, want %v", again.Config, wantConfig)
	}
	ids := []int32{0, 7, 12, 9_999, 19_999, 7}
	if !slices.Equal(logits(t, again, ids), logits(t, m, ids)) {
		t.Error("logits differ")
	}
}

func TestTensorsHaveLlamaCppsNames(t *testing.T) {
	path, _ := write(t, loadGolden(t, "qwen2-bias"), vocab(t, 307), quantize.Options{Type: "F16"})
	f := openGGUF(t, path)
	want := map[string]string{"token_embd.weight": "F16 [64 307]", "output_norm.weight": "F32 [64]"}
	for i := range 3 {
		for name, shape := range map[string]string{
			"attn_norm.weight": "F32 [64]", "attn_q.weight": "F16 [64 64]", "attn_q.bias": "F32 [64]",
			"attn_k.weight": "F16 [64 32]", "attn_k.bias": "F32 [32]", "attn_v.weight": "F16 [64 32]", "attn_v.bias": "F32 [32]",
			"attn_output.weight": "F16 [64 64]", "ffn_norm.weight": "F32 [64]", "ffn_gate.weight": "F16 [64 176]",
			"ffn_up.weight": "F16 [64 176]", "ffn_down.weight": "F16 [176 64]",
		} {
			want[fmt.Sprintf("blk.%d.%s", i, name)] = shape
		}
	}
	got := map[string]string{}
	for _, info := range f.Tensors() {
		got[info.Name] = fmt.Sprint(info.Type, " ", info.Dims)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("tensors %v\nwant %v", got, want)
	}
}

func TestFormatsOfMatrices(t *testing.T) {
	cases := []struct {
		model   string
		options quantize.Options
		want    map[string]string
		notes   []string
	}{
		{"llama-gqa", quantize.Options{}, map[string]string{"token_embd.weight": "Q8_0", "output.weight": "Q8_0", "blk.2.ffn_down.weight": "F16", "blk.0.attn_q.weight": "Q8_0"},
			[]string{"F16, as their rows are not whole blocks of 32 values: blk.0.ffn_down.weight, blk.1.ffn_down.weight, blk.2.ffn_down.weight"}},
		{"llama-gqa", quantize.Options{Type: "q4_0"}, map[string]string{"token_embd.weight": "Q4_0", "output.weight": "Q8_0", "blk.0.attn_q.weight": "Q4_0"},
			[]string{"output.weight is Q8_0", "F16, as"}},
		{"llama-tied-mha", quantize.Options{Type: "Q4_0"}, map[string]string{"token_embd.weight": "Q8_0", "blk.0.ffn_up.weight": "Q4_0"},
			[]string{"token_embd.weight is Q8_0", "F16, as"}},
		{"llama-gqa", quantize.Options{Type: "Q4_0", Pure: true}, map[string]string{"output.weight": "Q4_0", "blk.1.ffn_down.weight": "F16"}, []string{"F16, as"}},
		{"llama-gqa", quantize.Options{Type: "F16"}, map[string]string{"output.weight": "F16", "blk.1.ffn_down.weight": "F16", "output_norm.weight": "F32"}, nil},
		{"llama-gqa", quantize.Options{Type: "F32"}, map[string]string{"output.weight": "F32"}, nil},
	}
	for _, c := range cases {
		path, s := write(t, loadGolden(t, c.model), vocab(t, 307), c.options)
		f := openGGUF(t, path)
		for name, want := range c.want {
			if info, _ := f.Tensor(name); info.Type.String() != want {
				t.Errorf("%s %+v: %s is %s, want %s", c.model, c.options, name, info.Type, want)
			}
		}
		written, _, err := gguf.Get[[]string](f.Metadata(), "retort.quantize.notes")
		if err != nil || len(written) != len(s.Notes) || len(s.Notes) != len(c.notes) {
			t.Errorf("%s %+v: notes %q, in the file %q, %v", c.model, c.options, s.Notes, written, err)
			continue
		}
		for i, want := range c.notes {
			if !strings.HasPrefix(s.Notes[i], want) || written[i] != s.Notes[i] {
				t.Errorf("%s %+v: note %q, in the file %q, want %q", c.model, c.options, s.Notes[i], written[i], want)
			}
		}
	}
}

func TestEndsWithoutAKeyAreNoted(t *testing.T) {
	m := loadGolden(t, "llama-gqa")
	m.Config.EOS = []int32{3, 1, 4, 5, 6}
	path, s := write(t, m, vocab(t, 307), quantize.Options{Type: "F16"})
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "tokens [5 6] end an answer too") {
		t.Errorf("notes %q", s.Notes)
	}
	if got := loadGGUF(t, path).Config.EOS; !slices.Equal(got, []int32{1, 3, 4}) {
		t.Errorf("EOS %v, want [1 3 4]", got)
	}
}

// llama.cpp knows the tokenizer of Phi-3 by its name alone.
func TestNameSaysPhi3(t *testing.T) {
	v := vocab(t, 307)
	v.Phi3 = true
	for name, want := range map[string]string{"bot": "bot (Phi-3)", "my-phi-3": "my-phi-3"} {
		path, _ := write(t, loadGolden(t, "llama-gqa"), v, quantize.Options{Name: name})
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, _, err := gguf.Get[string](f.Metadata(), "general.name"); got != want || err != nil {
			t.Errorf("general.name %q (%v), want %q", got, err, want)
		}
		if again, err := model.Vocab(path); err != nil || !again.Phi3 {
			t.Errorf("read back: Phi3 %t, %v", again.Phi3, err)
		}
	}
}

func TestSummarySaysWhatWasLost(t *testing.T) {
	m := loadGolden(t, "llama-gqa")
	last := math.Inf(1)
	for _, typ := range []string{"F32", "F16", "Q8_0", "Q4_0"} {
		path, s := write(t, m, vocab(t, 307), quantize.Options{Type: typ, Pure: true})
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if s.FileBytes != info.Size() || s.Parameters != int64(m.Parameters()) || s.Type != typ {
			t.Errorf("%s: %d bytes, %d parameters, want %d and %d", s.Type, s.FileBytes, s.Parameters, info.Size(), m.Parameters())
		}
		checkLoss(t, m, path, s)
		db := math.Inf(1)
		if s.SQNR != nil {
			db = *s.SQNR
		}
		if typ == "F32" && (s.RMSE != 0 || s.MaxAbsError != 0 || s.SQNR != nil || s.BitsPerWeight != 32) || typ != "F32" && !(db < last) {
			t.Errorf("%s: %v dB after %v, RMSE %v", typ, db, last, s.RMSE)
		}
		last = db
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// checkLoss measures one tensor again, by reading the file.
func checkLoss(t *testing.T, m *model.Model, path string, s quantize.Summary) {
	t.Helper()
	source, stored := m.Layers[1].QKV.Parts[0].Weight, loadGGUF(t, path).Layers[1].QKV.Parts[0].Weight
	a, b := make([]float32, source.In), make([]float32, source.In)
	squares, largest := 0.0, 0.0
	for i := range source.Out {
		source.Row(a, i)
		stored.Row(b, i)
		for j := range a {
			d := math.Abs(float64(a[j]) - float64(b[j]))
			squares, largest = squares+d*d, max(largest, d)
		}
	}
	rmse := math.Sqrt(squares / float64(source.Out*source.In))
	for _, tensor := range s.Tensors {
		if tensor.Name == "blk.1.attn_q.weight" {
			if !(math.Abs(tensor.RMSE-rmse) <= 1e-9*rmse) || tensor.MaxAbsError != largest || tensor.Bytes != int64(stored.Bytes()) ||
				tensor.Rows != source.Out || tensor.Columns != source.In || tensor.Type != stored.Format.String() {
				t.Errorf("%s: %+v, measured RMSE %v, largest %v", s.Type, tensor, rmse, largest)
			}
			return
		}
	}
	t.Errorf("%s: no tensor blk.1.attn_q.weight in the summary", s.Type)
}

func TestSameBytesAtAnyNumberOfThreads(t *testing.T) {
	m := wide(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first []byte
	var firstSummary quantize.Summary
	for _, threads := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(threads)
		path, s := write(t, m, vocab(t, 307), quantize.Options{Type: "Q4_0"})
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first, firstSummary = data, s
		}
		if !bytes.Equal(data, first) || !reflect.DeepEqual(s, firstSummary) {
			t.Errorf("%d threads: other bytes or another summary", threads)
		}
	}
}

func TestWriteGGUFRefuses(t *testing.T) {
	fill := func(v float32) func(*model.Model) {
		return func(m *model.Model) {
			if err := m.Unfreeze(); err != nil {
				t.Fatal(err)
			}
			m.Layers[1].Down.Parts[0].Weight.Floats()[176*5+3] = v
		}
	}
	v := func(change func(*tokenizer.GGUFVocab)) tokenizer.GGUFVocab {
		v := vocab(t, 300)
		change(&v)
		return v
	}
	same := vocab(t, 300)
	cases := []struct {
		name    string
		model   string
		change  func(*model.Model)
		vocab   tokenizer.GGUFVocab
		options quantize.Options
		want    string
	}{
		{"name", "llama-gqa", nil, same, quantize.Options{Name: "My-Phi3-Bot"}, `name: "My-Phi3-Bot"`},
		{"NaN", "llama-gqa", fill(float32(math.NaN())), same, quantize.Options{}, `tensor "blk.1.ffn_down.weight": row 5: value 3 is NaN`},
		{"past F16", "llama-gqa", fill(1e6), same, quantize.Options{}, "row 5: value 3 is 1e+06: too large for F16"},
		{"NaN in a vector", "qwen2-bias", func(m *model.Model) {
			m.Device().Host(compute.Of(m.Layers[2].QKV.Parts[1].Bias))[9] = float32(math.NaN())
		}, same, quantize.Options{}, `tensor "blk.2.attn_k.bias": row 0: value 9 is NaN`},
		{"adapter", "llama-gqa", func(m *model.Model) {
			if err := m.LoadAdapter(filepath.Join(goldenDir("llama-gqa"), "adapter")); err != nil {
				t.Fatal(err)
			}
		}, same, quantize.Options{}, "not merged"},
		{"other activation", "llama-gqa", func(m *model.Model) { m.Config.HiddenAct = "gelu_pytorch_tanh" }, same, quantize.Options{}, "gelu_pytorch_tanh"},
		{"other architecture", "llama-gqa", func(m *model.Model) { m.Config.ModelType = "openelm" }, same, quantize.Options{}, `"openelm"`},
		{"output bias of qwen2", "qwen2-bias", func(m *model.Model) { m.Config.OutputBias = true }, same, quantize.Options{}, "biases of q, k and v"},
		{"type", "llama-gqa", nil, same, quantize.Options{Type: "Q4_K_M"}, `type: "Q4_K_M": want one of F32, F16, BF16, Q8_0, Q4_0 (did you mean Q4_0?)`},
		{"too many tokens", "llama-gqa", nil, vocab(t, 308), quantize.Options{}, "vocabulary: 308 tokens, the model has embeddings for 307"},
		{"no tokens", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.Tokens = nil }), quantize.Options{}, "no tokens"},
		{"types", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.Types = v.Types[1:] }), quantize.Options{}, "299 token types for 300"},
		{"scores", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.Scores = []float32{1} }), quantize.Options{}, "1 scores for 300"},
		{"no scores", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.Model = "llama" }), quantize.Options{}, "no scores"},
		{"vocabulary model", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.Model = "bert" }), quantize.Options{}, `"bert"`},
		{"special token", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.PAD = 300 }), quantize.Options{}, "special token 300 of 300"},
		{"BOS to add", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.BOS = -1 }), quantize.Options{}, "none is named"},
		{"no end", "llama-gqa", func(m *model.Model) { m.Config.EOS = nil }, v(func(v *tokenizer.GGUFVocab) { v.EOS = -1 }), quantize.Options{}, "no token ends"},
		{"name of an unused token", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.Tokens[7] = "[PAD303]" }), quantize.Options{}, "token 7 is [PAD303]"},
		{"bytes as token", "llama-gqa", nil, v(func(v *tokenizer.GGUFVocab) { v.Tokens[7] = "\xff" }), quantize.Options{}, "token 7 is not valid UTF-8"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := loadGolden(t, c.model)
			if c.change != nil {
				c.change(m)
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			_, err := quantize.WriteGGUF(path, m, c.vocab, c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("WriteGGUF = %v, want %q", err, c.want)
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
				t.Errorf("left %v behind", entries)
			}
		})
	}
}

func TestWriteGGUFRefusesQuantizedWeights(t *testing.T) {
	m := loadGGUF(t, "testdata/tiny-Q8_0.gguf")
	_, err := quantize.WriteGGUF(filepath.Join(t.TempDir(), "m.gguf"), m, vocab(t, 320), quantize.Options{Type: "Q4_0"})
	if err == nil || !strings.Contains(err.Error(), "tensor token_embd.weight is Q8_0 already") {
		t.Errorf("WriteGGUF = %v", err)
	}
}
