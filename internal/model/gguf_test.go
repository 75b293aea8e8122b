package model_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
)

// ggufFile is a GGUF file to write, sound or not.
type ggufFile struct {
	meta    []gguf.KV
	tensors []gguf.TensorData
}

// newGGUF describes m, with a byte-level vocabulary of made-up tokens.
func newGGUF(t *testing.T, m *model.Model) *ggufFile {
	t.Helper()
	c := m.Config
	f := &ggufFile{}
	list, err := m.GGUFTensors()
	if err != nil {
		t.Fatal(err)
	}
	f.set("general.architecture", c.GGUFArchitecture())
	for _, kv := range c.GGUFMetadata() {
		f.set(kv.Key, kv.Value)
	}
	f.set("tokenizer.ggml.model", "gpt2")
	f.set("tokenizer.ggml.tokens", madeUpTokens(c.VocabSize))
	f.set("tokenizer.ggml.bos_token_id", uint32(1))
	f.set("tokenizer.ggml.eos_token_id", uint32(2))
	f.set("tokenizer.ggml.padding_token_id", uint32(0))
	for _, g := range list {
		if g.Vector != nil {
			values := m.Device().Host(compute.Of(g.Vector))
			stored := make([]float32, len(values))
			for i := range stored {
				stored[i] = values[g.Row(i)]
			}
			f.tensor(g.Name, stored, len(stored))
			continue
		}
		stored := make([]float32, g.Matrix.Out*g.Matrix.In)
		for i := range g.Matrix.Out {
			g.Matrix.Row(stored[i*g.Matrix.In:(i+1)*g.Matrix.In], g.Row(i))
		}
		f.tensor(g.Name, stored, g.Matrix.In, g.Matrix.Out)
	}
	return f
}

func madeUpTokens(n int) []string {
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("t%d", i)
	}
	return tokens
}

// set changes or adds a key; a nil value removes it.
func (f *ggufFile) set(key string, v any) {
	f.meta = slices.DeleteFunc(f.meta, func(kv gguf.KV) bool { return kv.Key == key })
	if v != nil {
		f.meta = append(f.meta, gguf.KV{Key: key, Value: v})
	}
}

// tensor adds a tensor, or replaces the one of that name.
func (f *ggufFile) tensor(name string, values []float32, dims ...int) {
	f.typed(name, gguf.F32, floatsLE(values), dims...)
}

func (f *ggufFile) typed(name string, typ gguf.TensorType, data []byte, dims ...int) {
	f.remove(name)
	f.tensors = append(f.tensors, gguf.TensorData{Name: name, Type: typ, Dims: dims,
		WriteTo: func(w io.Writer) error { _, err := w.Write(data); return err }})
}

func (f *ggufFile) remove(name string) {
	f.tensors = slices.DeleteFunc(f.tensors, func(t gguf.TensorData) bool { return t.Name == name })
}

func (f *ggufFile) write(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := gguf.WriteFile(path, f.meta, f.tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadGGUFGivesTheSameModel(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-tied-mha", "qwen2-bias", "qwen3-qknorm", "phi3-fused", "gemma", "gemma2-softcap"} {
		t.Run(name, func(t *testing.T) {
			m, g := load(t, name), openGolden(t, name)
			again, err := model.LoadGGUF(cpu.New(2), newGGUF(t, m).write(t))
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if fmt.Sprint(again.Config) != fmt.Sprint(m.Config) {
				t.Errorf("configuration %v, want %v", again.Config, m.Config)
			}
			ids := g.ints("input_ids")
			if !slices.Equal(logitsOf(t, again, ids), logitsOf(t, m, ids)) {
				t.Error("logits differ")
			}
			if tied := again.Head == again.Embed; tied != m.Config.TieWordEmbeddings {
				t.Errorf("head tied: %v", tied)
			}
		})
	}
}

// llama.cpp's converter views the rows of a head as (2, E/2) and swaps the axes.
func TestRowsOfRotaryHeadsAreInterleaved(t *testing.T) {
	for name, want := range map[string][]int{
		"llama-gqa":  {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15, 16, 24, 17},
		"qwen2-bias": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18},
	} {
		list, err := load(t, name).GGUFTensors()
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range list {
			permuted := strings.Contains(g.Name, "attn_q.") || strings.Contains(g.Name, "attn_k.")
			for i, row := range want {
				if !permuted {
					row = i
				}
				if got := g.Row(i); got != row {
					t.Errorf("%s: row %d of %s is %d, want %d", name, i, g.Name, got, row)
				}
			}
			// No row is lost.
			if g.Matrix != nil {
				seen := make([]bool, g.Matrix.Out)
				for i := range seen {
					seen[g.Row(i)] = true
				}
				if slices.Contains(seen, false) {
					t.Errorf("%s: the rows of %s are no permutation", name, g.Name)
				}
			}
		}
	}
}

func TestGGUFTensorsRefuses(t *testing.T) {
	cases := []struct {
		name   string
		change func(m *model.Model)
		want   string
	}{
		{"model type", func(m *model.Model) { m.Config.ModelType = "openelm" }, `model type "openelm"`},
		{"activation", func(m *model.Model) { m.Config.HiddenAct = "gelu_pytorch_tanh" }, "gelu_pytorch_tanh"},
		{"qwen2 without biases", func(m *model.Model) { m.Config.AttentionBias = false }, "biases of q, k and v"},
		{"qwen2 with another bias", func(m *model.Model) { m.Config.MLPBias = true }, "biases of q, k and v"},
		{"updates", func(m *model.Model) { m.LoRA = &model.LoRA{} }, "not merged"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := tiny(t, true)
			c.change(m)
			_, err := m.GGUFTensors()
			fails(t, err, c.want)
		})
	}
}

// What a file leaves out has the values that llama.cpp assumes.
func TestLoadGGUFDefaults(t *testing.T) {
	m := load(t, "llama-tied-mha")
	f := newGGUF(t, m)
	for _, key := range []string{"llama.rope.dimension_count", "llama.attention.head_count_kv", "llama.rope.freq_base", "llama.vocab_size",
		"tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.padding_token_id"} {
		f.set(key, nil)
	}
	// These change nothing, so that they are no reason to refuse.
	f.set("llama.expert_count", uint32(0))
	f.set("llama.rope.scaling.type", "none")
	f.set("llama.rope.scaling.factor", float32(8))
	f.set("general.type", "model")
	f.set("other.key", "x")
	got, err := model.LoadGGUF(cpu.New(1), f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want := m.Config
	want.RopeTheta, want.BOS, want.EOS, want.PAD = 10000, -1, nil, -1
	if fmt.Sprint(got.Config) != fmt.Sprint(want) {
		t.Errorf("configuration %v, want %v", got.Config, want)
	}
}

// The tokens that end a turn or a message end an answer too.
func TestLoadGGUFEndTokens(t *testing.T) {
	f := newGGUF(t, load(t, "llama-gqa"))
	f.set("tokenizer.ggml.eot_token_id", uint32(9))
	f.set("tokenizer.ggml.eom_token_id", uint32(2))
	m, err := model.LoadGGUF(cpu.New(1), f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if !slices.Equal(m.Config.EOS, []int32{2, 9}) {
		t.Errorf("EOS %v, want [2 9]", m.Config.EOS)
	}
}

func TestLoadGGUFRefusesMetadata(t *testing.T) {
	cases := []struct {
		key   string
		value any // nil removes the key
		want  string
	}{
		{"general.architecture", nil, "metadata general.architecture is missing"},
		{"general.architecture", "mamba", `metadata general.architecture: "mamba": supported are llama, qwen2`},
		{"general.architecture", uint32(1), "metadata general.architecture: is uint32"},
		{"general.type", "adapter", `metadata general.type: "adapter"`},
		{"llama.context_length", nil, "metadata llama.context_length is missing"},
		{"llama.embedding_length", nil, "metadata llama.embedding_length is missing"},
		{"llama.embedding_length", uint32(0), "metadata llama.embedding_length: 0: want 1 to"},
		{"llama.embedding_length", uint32(128), "metadata llama.rope.dimension_count: 16: only the width of a key, 32"},
		{"llama.block_count", uint32(4), "tensor blk.3.attn_norm.weight is missing"},
		{"llama.block_count", uint32(2), "tensor blk.2.attn_norm.weight is not part of a llama model"},
		{"llama.block_count", uint32(16_000_000), "metadata llama.block_count: 16000000, the file has only 30 tensors"},
		{"llama.block_count", uint64(1 << 63), "metadata llama.block_count: 9223372036854775808 is out of range"},
		{"llama.block_count", int32(-1), "metadata llama.block_count: -1"},
		{"llama.feed_forward_length", nil, "metadata llama.feed_forward_length is missing"},
		{"llama.feed_forward_length", uint32(175), "tensor blk.0.ffn_gate.weight has dims [64 176], the metadata wants [64 175]"},
		{"llama.attention.head_count", nil, "metadata llama.attention.head_count is missing"},
		{"llama.attention.head_count", []uint32{4, 4, 4}, "metadata llama.attention.head_count: is []uint32"},
		{"llama.attention.head_count", uint32(3), "metadata llama.attention.key_length is missing"},
		{"llama.attention.head_count_kv", uint32(3), "num_key_value_heads 3"},
		{"llama.attention.head_count_kv", nil, "tensor blk.0.attn_k.weight has dims [64 32], the metadata wants [64 64]"},
		{"llama.attention.layer_norm_rms_epsilon", nil, "metadata llama.attention.layer_norm_rms_epsilon is missing"},
		{"llama.attention.layer_norm_rms_epsilon", float32(-1), "metadata llama.attention.layer_norm_rms_epsilon: -1"},
		{"llama.attention.layer_norm_rms_epsilon", float64(1), "metadata llama.attention.layer_norm_rms_epsilon: is float64"},
		{"llama.attention.key_length", uint32(17), "metadata llama.rope.dimension_count: 16: only the width of a key, 17"},
		{"llama.attention.value_length", uint32(8), "metadata llama.attention.value_length: 8: only the width of a key, 16"},
		{"llama.rope.dimension_count", uint32(8), "metadata llama.rope.dimension_count: 8: only the width of a key, 16"},
		{"llama.rope.freq_base", float32(0), "metadata llama.rope.freq_base: 0"},
		{"llama.rope.scaling.type", "longrope", "metadata llama.rope.scaling.type: longrope is not supported"},
		{"llama.rope.scaling.factor", float32(4), "metadata llama.rope.scaling.factor: 4 is not supported"},
		{"llama.rope.scaling.type", uint32(1), "metadata llama.rope.scaling.type: is uint32"},
		{"llama.expert_count", uint32(8), "metadata llama.expert_count: 8 is not supported"},
		{"llama.attention.sliding_window", uint32(512), "metadata llama.attention.sliding_window: 512 is not supported"},
		{"llama.logit_scale", float32(2), "metadata llama.logit_scale: 2 is not supported"},
		{"llama.vocab_size", uint32(306), "metadata llama.vocab_size: 306, token_embd.weight has 307 rows"},
		{"tokenizer.ggml.tokens", madeUpTokens(306), "metadata tokenizer.ggml.tokens: 306 tokens, token_embd.weight has 307 rows"},
		{"tokenizer.ggml.tokens", madeUpTokens(308), "metadata tokenizer.ggml.tokens: 308 tokens, token_embd.weight has 307 rows"},
		{"tokenizer.ggml.tokens", "a", "metadata tokenizer.ggml.tokens: is string"},
		{"tokenizer.ggml.bos_token_id", uint32(307), "metadata tokenizer.ggml.bos_token_id: 307: the vocabulary has 307 tokens"},
		{"tokenizer.ggml.eot_token_id", uint32(1 << 31), "metadata tokenizer.ggml.eot_token_id: 2147483648"},
		{"tokenizer.ggml.eos_token_id", int32(-1), "metadata tokenizer.ggml.eos_token_id: -1"},
	}
	m := load(t, "llama-gqa")
	for _, c := range cases {
		t.Run(fmt.Sprint(c.key, " ", c.value), func(t *testing.T) {
			f := newGGUF(t, m)
			f.set(c.key, c.value)
			path := f.write(t)
			_, err := model.LoadGGUF(cpu.New(1), path)
			fails(t, err, c.want, path)
		})
	}
}

func TestLoadGGUFRefusesTensors(t *testing.T) {
	cases := []struct {
		name   string
		change func(f *ggufFile)
		want   string
	}{
		{"no embedding", func(f *ggufFile) { f.remove("token_embd.weight") }, "tensor token_embd.weight is missing"},
		{"flat embedding", func(f *ggufFile) { f.tensor("token_embd.weight", make([]float32, 64), 64) }, "tensor token_embd.weight has dims [64]"},
		{"missing", func(f *ggufFile) { f.remove("blk.1.ffn_up.weight") }, "tensor blk.1.ffn_up.weight is missing"},
		{"missing norm", func(f *ggufFile) { f.remove("output_norm.weight") }, "tensor output_norm.weight is missing"},
		{"transposed", func(f *ggufFile) { f.tensor("blk.0.ffn_down.weight", make([]float32, 64*176), 64, 176) },
			"tensor blk.0.ffn_down.weight has dims [64 176], the metadata wants [176 64]"},
		{"three dims", func(f *ggufFile) { f.tensor("blk.0.ffn_down.weight", make([]float32, 64*176), 176, 64, 1) }, "dims [176 64 1]"},
		{"empty", func(f *ggufFile) { f.tensor("blk.0.attn_norm.weight", nil, 0) }, "tensor blk.0.attn_norm.weight has dims [0]"},
		{"extra", func(f *ggufFile) { f.tensor("blk.0.attn_q_norm.weight", make([]float32, 16), 16) },
			"tensor blk.0.attn_q_norm.weight is not part of a llama model"},
		{"extra layer", func(f *ggufFile) { f.tensor("blk.7.attn_norm.weight", make([]float32, 64), 64) }, "tensor blk.7.attn_norm.weight is not part"},
		{"bias of one layer", func(f *ggufFile) { f.tensor("blk.1.attn_q.bias", make([]float32, 64), 64) }, "tensor blk.1.attn_q.bias is not part"},
		{"half of the biases", func(f *ggufFile) { f.tensor("blk.0.attn_q.bias", make([]float32, 64), 64) }, "tensor blk.0.attn_k.bias is missing"},
		{"scaled positions of other families", func(f *ggufFile) { f.tensor("rope_factors_long.weight", make([]float32, 8), 8) },
			"tensor rope_factors_long.weight is not part"},
		{"format", func(f *ggufFile) { f.typed("blk.2.attn_v.weight", gguf.IQ1_S, make([]byte, 50*8), 256, 8) },
			"tensor blk.2.attn_v.weight has type IQ1_S, which is not supported"},
		{"format of a vector", func(f *ggufFile) { f.typed("output_norm.weight", gguf.IQ2_S, make([]byte, 82), 256) }, "tensor output_norm.weight has type IQ2_S"},
	}
	m := load(t, "llama-gqa")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newGGUF(t, m)
			c.change(f)
			path := f.write(t)
			_, err := model.LoadGGUF(cpu.New(1), path)
			fails(t, err, c.want, path)
		})
	}
	_, err := model.LoadGGUF(cpu.New(1), filepath.Join(t.TempDir(), "none.gguf"))
	fails(t, err, "none.gguf")
}

// Numbers of other sizes become float32, the nearest where there is none.
func TestLoadGGUFOfNumbers(t *testing.T) {
	for _, c := range []struct {
		typ   gguf.TensorType
		bytes []byte // of one value
		want  float32
	}{
		{gguf.F64, []byte{0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0xbf}, -0.1},
		{gguf.I8, []byte{0xfd}, -3},
		{gguf.I16, []byte{0xfd, 0xfe}, -259},
		{gguf.I32, []byte{0xff, 0xff, 0xff, 0x7f}, 1 << 31},
		{gguf.I64, []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, -(1 << 32)},
	} {
		f := newGGUF(t, load(t, "llama-gqa"))
		f.typed("blk.1.attn_q.weight", c.typ, bytes.Repeat(c.bytes, 64*64), 64, 64)
		f.typed("output_norm.weight", c.typ, bytes.Repeat(c.bytes, 64), 64)
		path := f.write(t)
		m, err := model.LoadGGUF(cpu.New(1), path)
		if err != nil {
			t.Fatal(err)
		}
		row := make([]float32, 64)
		m.Layers[1].QKV.Parts[0].Weight.Row(row, 63)
		norm := m.Device().Host(compute.Of(m.Norm.Values))
		if row[0] != c.want || row[63] != c.want || norm[63] != c.want {
			t.Errorf("%s: %v in a matrix, %v in a vector, want %v", c.typ, row[0], norm[63], c.want)
		}
		outline, err := model.LoadGGUFOutline(path)
		if err != nil || outline.Bytes() != m.Bytes() {
			t.Errorf("%s: outline of %d bytes, want %d: %v", c.typ, outline.Bytes(), m.Bytes(), err)
		}
		m.Close()
	}
}

// A layer's biases of every kind are read where the first layer has them.
func TestLoadGGUFReadsOptionalBiases(t *testing.T) {
	f := newGGUF(t, load(t, "llama-gqa"))
	for i := range 3 {
		for name, n := range map[string]int{"attn_q": 64, "attn_k": 32, "attn_v": 32, "attn_output": 64, "ffn_gate": 176, "ffn_up": 176, "ffn_down": 64} {
			values := make([]float32, n)
			for j := range values {
				values[j] = float32(j)
			}
			f.tensor(fmt.Sprintf("blk.%d.%s.bias", i, name), values, n)
		}
	}
	m, err := model.LoadGGUF(cpu.New(1), f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if c := m.Config; !c.AttentionBias || !c.OutputBias || !c.MLPBias {
		t.Errorf("biases %v %v %v", c.AttentionBias, c.OutputBias, c.MLPBias)
	}
	// Stored row 1 is the first of the second half, row 8 of a head of 16.
	q := m.Device().Host(compute.Of(m.Layers[2].QKV.Parts[0].Bias))
	v := m.Device().Host(compute.Of(m.Layers[2].QKV.Parts[2].Bias))
	if q[8] != 1 || q[1] != 2 || v[8] != 8 {
		t.Errorf("bias of q %v, of v %v", q[:16], v[:16])
	}
}

// floatsLE is the little-endian encoding of values.
func floatsLE(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
