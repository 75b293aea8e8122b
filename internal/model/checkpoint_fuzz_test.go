package model

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/safetensors"
)

// FuzzQuantizedCheckpoint wants no panic, whatever a configuration and the
// tensors say of each other, and errors that name a field or a tensor.
func FuzzQuantizedCheckpoint(f *testing.F) {
	file := func(tensors ...safetensors.Tensor) []byte {
		var b bytes.Buffer
		if err := safetensors.Write(&b, tensors, nil); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	zeros := func(name string, dtype safetensors.Dtype, shape ...int) safetensors.Tensor {
		n := 1
		for _, s := range shape {
			n *= s
		}
		return safetensors.Tensor{Name: name, Dtype: dtype, Shape: shape, Data: make([]byte, n*dtype.Size())}
	}
	f.Add([]byte(`{"quant_method":"gptq","bits":4,"group_size":32}`), file(zeros("m.qweight", "I32", 8, 32), zeros("m.qzeros", "I32", 2, 4),
		zeros("m.scales", "F16", 2, 32), zeros("m.g_idx", "I32", 64)))
	f.Add([]byte(`{"quant_method":"awq","bits":4,"group_size":32}`), file(zeros("m.qweight", "I32", 64, 4), zeros("m.qzeros", "I32", 2, 4), zeros("m.scales", "F16", 2, 32)))
	f.Add([]byte(`{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":4,"strategy":"group","group_size":32,"symmetric":false}}}}`),
		file(zeros("m.weight_packed", "I32", 32, 8), zeros("m.weight_scale", "BF16", 32, 2), zeros("m.weight_zero_point", "I32", 4, 2)))
	f.Add([]byte(`{"quant_method":"compressed-tensors","format":"float-quantized","config_groups":{"g":{"targets":["re:.*"],"weights":{"num_bits":8,"type":"float","strategy":"block","block_structure":[16,16]}}}}`),
		file(zeros("m.weight", "F8_E4M3", 32, 64), zeros("m.weight_scale", "F32", 2, 4)))
	f.Add([]byte(`{"quant_method":"fp8","weight_block_size":[16,16]}`), file(zeros("m.weight", "F8_E4M3", 32, 64), zeros("m.weight_scale_inv", "F32", 2, 4)))
	f.Add([]byte(`{"quant_method":"bitsandbytes","load_in_8bit":true}`), file(zeros("m.weight", "I8", 32, 64), zeros("m.SCB", "F32", 32)))
	state := []byte(`{"quant_type":"nf4","blocksize":64,"shape":[32,64],"nested_blocksize":256,"nested_offset":0.5}`)
	f.Add([]byte(`{"quant_method":"bitsandbytes","load_in_4bit":true}`), file(zeros("m.weight", "U8", 1024, 1), zeros("m.weight.absmax", "U8", 32),
		zeros("m.weight.quant_map", "F32", 16), zeros("m.weight.nested_absmax", "F32", 1), zeros("m.weight.nested_quant_map", "F32", 256),
		safetensors.Tensor{Name: "m" + bnbState + "nf4", Dtype: safetensors.U8, Shape: []int{len(state)}, Data: state}))
	f.Fuzz(func(t *testing.T, config, content []byte) {
		s, err := parseScheme(config, "")
		if err != nil {
			return
		}
		file, err := safetensors.Parse("f", content)
		if err != nil {
			return
		}
		if _, err := plainNames(s, file); err != nil {
			t.Fatal(err)
		}
		for _, shape := range [][2]int{{32, 64}, {64, 32}, {5, 7}} {
			if markOf(s, file, "m") == "" {
				return
			}
			m, err := s.matrix(file, "m", shape[0], shape[1])
			if err != nil {
				if !strings.Contains(err.Error(), "m.") && !strings.Contains(err.Error(), "module m") {
					t.Errorf("%v: no name in %v", shape, err)
				}
				continue
			}
			w, err := m.weight()
			if err != nil {
				t.Fatal(err)
			}
			if w.Format != m.format() || w.Out != shape[0] || w.In != shape[1] {
				t.Errorf("%v: %s (%d, %d), want %s", shape, w.Format, w.Out, w.In, m.format())
			}
			row := make([]float32, w.In)
			w.Row(row, w.Out-1)
		}
	})
}

// FuzzGGUFModel wants no panic and no more memory than the file's tensors take.
func FuzzGGUFModel(f *testing.F) {
	metadata := gguf.Metadata{{Key: "general.architecture", Value: "llama"}}
	for key, n := range map[string]uint32{"context_length": 8, "embedding_length": 32, "block_count": 1, "feed_forward_length": 32, "attention.head_count": 2, "vocab_size": 4} {
		metadata = append(metadata, gguf.KV{Key: "llama." + key, Value: n})
	}
	metadata = append(metadata, gguf.KV{Key: "llama.attention.layer_norm_rms_epsilon", Value: float32(1e-5)})
	var tensors []gguf.TensorData
	add := func(name string, typ gguf.TensorType, dims ...int) {
		size, err := gguf.TensorSize(typ, dims)
		if err != nil {
			f.Fatal(err)
		}
		tensors = append(tensors, gguf.TensorData{Name: name, Type: typ, Dims: dims, WriteTo: func(w io.Writer) error {
			_, err := w.Write(make([]byte, size))
			return err
		}})
	}
	add("token_embd.weight", gguf.Q4_1, 32, 4)
	add("output_norm.weight", gguf.F64, 32)
	for _, name := range []string{"attn_norm", "ffn_norm"} {
		add(fmt.Sprintf("blk.0.%s.weight", name), gguf.F32, 32)
	}
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"} {
		add(fmt.Sprintf("blk.0.%s.weight", name), gguf.IQ4_NL, 32, 32)
	}
	var file bytes.Buffer
	if err := gguf.Write(&file, metadata, tensors); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	dev := cpu.New(1)
	if in, err := gguf.Parse("f", file.Bytes()); err != nil {
		f.Fatal(err)
	} else if _, err := assembleGGUF(dev, in); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		in, err := gguf.Parse("f", content)
		if err != nil {
			return
		}
		if m, err := assembleGGUF(dev, in); err == nil && m.Bytes() > 8*len(content) {
			t.Errorf("a model of %d bytes from %d", m.Bytes(), len(content))
		}
	})
}
