package model_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

// layout stores the weight of a module, and returns the values that it then has.
type layout func(rng *rand.Rand, module string, values []float32, out, in int) ([]safetensors.Tensor, []float32)

func gridLayout(o gridOptions, tensors func(g *grid, module string) []safetensors.Tensor) layout {
	return func(rng *rand.Rand, module string, values []float32, out, in int) ([]safetensors.Tensor, []float32) {
		g := newGrid(rng, values, out, in, o)
		return tensors(g, module), g.values()
	}
}

func gptqLayout(below int, o gridOptions) layout {
	return gridLayout(o, func(g *grid, module string) []safetensors.Tensor { return g.gptq(module, below) })
}

// quantizedDirs writes the model of golden/hf/llama-gqa with the modules that
// match stored by a layout, and once more with the values that these stand for.
func quantizedDirs(t *testing.T, quantization fields, match string, store layout) (quantized, plain string) {
	t.Helper()
	quantized, plain = copyDir(t, goldenDir("llama-gqa")), copyDir(t, goldenDir("llama-gqa"))
	editJSON(t, filepath.Join(quantized, "config.json"), fields{"quantization_config": quantization})
	rng := random.Stream(3, "layouts")
	var converted []safetensors.Tensor
	editTensors(t, filepath.Join(plain, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
		for i, x := range list {
			module, ok := strings.CutSuffix(x.Name, ".weight")
			if !ok || len(x.Shape) != 2 || !strings.Contains(module, "layers.") || !strings.Contains(module, match) {
				converted = append(converted, x)
				continue
			}
			values := make([]float32, x.Shape[0]*x.Shape[1])
			compute.Dequantize(compute.F32, values, x.Data)
			tensors, stands := store(rng, module, values, x.Shape[0], x.Shape[1])
			converted = append(converted, tensors...)
			list[i].Data = floatsLE(stands)
		}
		return list
	})
	if err := safetensors.WriteFile(filepath.Join(quantized, weightsFile), converted, nil); err != nil {
		t.Fatal(err)
	}
	return quantized, plain
}

func compressed(format string, weights fields) fields {
	return fields{"quant_method": "compressed-tensors", "format": format, "quantization_status": "compressed", "ignore": []string{"lm_head"},
		"config_groups": fields{"group_0": fields{"targets": []string{"Linear"}, "weights": weights}}}
}

func gptq(more fields) fields {
	f := fields{"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": false, "sym": true, "checkpoint_format": "gptq"}
	for k, v := range more {
		f[k] = v
	}
	return f
}

var bnb4bit = fields{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}

var checkpoints = []struct {
	name   string
	config fields
	match  string         // modules whose names have this
	q      compute.Format // of q_proj, (64,64)
	down   compute.Format // of down_proj, (64,176)
	store  layout
}{
	{"gptq", gptq(nil), "", compute.Q4_0, compute.F32, gptqLayout(1, gridOptions{size: 32})},
	{"gptq of one group", gptq(fields{"group_size": -1}), "", compute.Q4_0, compute.F32, gptqLayout(1, gridOptions{})},
	{"gptq asymmetric", gptq(fields{"sym": false}), "", compute.Q5_0, compute.F32, gptqLayout(1, gridOptions{size: 32, asymmetric: true})},
	{"gptq, high zero points", gptq(fields{"sym": false}), "", compute.Q5_0, compute.F32, gptqLayout(1, gridOptions{size: 32, zeros: []int{8, 10, 12}})},
	{"gptq, low zero points", gptq(fields{"sym": false}), "", compute.Q5_0, compute.F32, gptqLayout(1, gridOptions{size: 32, zeros: []int{6, 8}})},
	{"gptq, second version", gptq(fields{"checkpoint_format": "gptq_v2"}), "", compute.Q5_0, compute.F32,
		gptqLayout(0, gridOptions{size: 32, asymmetric: true})},
	{"gptq with columns in any order", gptq(fields{"desc_act": true}), "", compute.F32, compute.F32,
		gptqLayout(1, gridOptions{size: 32, asymmetric: true, shuffled: true})},
	{"gptq of small groups", gptq(fields{"group_size": 16}), "", compute.F32, compute.F32, gptqLayout(1, gridOptions{size: 16})},
	{"gptq, 8 bits", gptq(fields{"bits": 8, "group_size": 64}), "", compute.Q8_0, compute.F32, gptqLayout(1, gridOptions{bits: 8, size: 64})},
	{"gptq, 8 bits, asymmetric", gptq(fields{"bits": 8}), "", compute.F32, compute.F32, gptqLayout(1, gridOptions{bits: 8, size: 32, asymmetric: true})},
	{"gptq, 3 bits", gptq(fields{"bits": 3}), "self_attn", compute.Q4_0, compute.F32, gptqLayout(1, gridOptions{bits: 3, size: 32, asymmetric: true})},
	{"gptq, 2 bits", gptq(fields{"bits": 2}), "", compute.Q4_0, compute.F32, gptqLayout(1, gridOptions{bits: 2, size: 32})},
	{"gptq with biases of zero", gptq(nil), "", compute.Q4_0, compute.F32, gridLayout(gridOptions{size: 32}, func(g *grid, module string) []safetensors.Tensor {
		return append(g.gptq(module, 1), byteTensor(module+".bias", safetensors.F16, []int{g.out}, make([]byte, 2*g.out)))
	})},
	{"awq", fields{"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": true}, "self_attn", compute.Q5_0, compute.F32,
		gridLayout(gridOptions{size: 32, asymmetric: true}, (*grid).awq)},
	{"awq of small groups", fields{"quant_method": "awq", "w_bit": 4, "q_group_size": 16}, "", compute.F32, compute.F32,
		gridLayout(gridOptions{size: 16, asymmetric: true}, (*grid).awq)},
	{"packed", compressed("pack-quantized", fields{"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group", "group_size": 32}), "",
		compute.Q4_0, compute.F32, gridLayout(gridOptions{size: 32, round: asBF16}, func(g *grid, m string) []safetensors.Tensor {
			return g.pack(m, safetensors.BF16, false, false)
		})},
	{"packed, asymmetric", compressed("pack-quantized", fields{"num_bits": 4, "type": "int", "symmetric": false, "strategy": "group", "group_size": 32}), "",
		compute.Q5_0, compute.F32, gridLayout(gridOptions{size: 32, asymmetric: true}, func(g *grid, m string) []safetensors.Tensor {
			return g.pack(m, safetensors.F16, true, false)
		})},
	{"packed, columns in any order", compressed("pack-quantized", fields{"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "actorder": "group"}), "",
		compute.F32, compute.F32, gridLayout(gridOptions{size: 32, shuffled: true}, func(g *grid, m string) []safetensors.Tensor {
			return g.pack(m, safetensors.F16, false, true)
		})},
	{"packed, 8 bits by channel", compressed("pack-quantized", fields{"num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel"}), "",
		compute.Q8_0, compute.F32, gridLayout(gridOptions{bits: 8}, func(g *grid, m string) []safetensors.Tensor {
			return g.pack(m, safetensors.F16, false, false)
		})},
	{"packed, 6 bits", compressed("pack-quantized", fields{"num_bits": 6, "type": "int", "symmetric": true, "strategy": "channel"}), "",
		compute.Q8_0, compute.F32, gridLayout(gridOptions{bits: 6}, func(g *grid, m string) []safetensors.Tensor {
			return g.pack(m, safetensors.F16, false, false)
		})},
	{"bytes by channel", compressed("int-quantized", fields{"num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel"}), "",
		compute.Q8_0, compute.F32, gridLayout(gridOptions{bits: 8, round: asBF16}, func(g *grid, m string) []safetensors.Tensor {
			return g.plain(m, safetensors.BF16, g.out)
		})},
	{"bytes, one scale, of activations too", compressed("naive-quantized", fields{"num_bits": 8, "type": "int", "strategy": "tensor"}), "",
		compute.F32, compute.F32, gridLayout(gridOptions{bits: 8, tensor: true, round: asF32}, func(g *grid, m string) []safetensors.Tensor {
			input := byteTensor(m+".input_scale", safetensors.F32, []int{1}, make([]byte, 4))
			return append(g.plain(m, safetensors.F32, 1), input)
		})},
	{"FP8 by channel", compressed("float-quantized", fields{"num_bits": 8, "type": "float", "strategy": "channel"}), "", compute.F32, compute.F32,
		fp8Layout(".weight_scale", 1, 1000)},
	{"FP8 by block", compressed("float-quantized", fields{"num_bits": 8, "type": "float", "strategy": "block", "block_structure": []int{48, 40}}), "",
		compute.F32, compute.F32, fp8Layout(".weight_scale", 48, 40)},
	{"FP8 of transformers", fields{"quant_method": "fp8", "weight_block_size": []int{48, 40}}, "", compute.F32, compute.F32,
		fp8Layout(".weight_scale_inv", 48, 40)},
	{"NF4, nested", bnb4bit, "", compute.NF4, compute.F32, bnbLayout("nf4", 64, 256)},
	{"NF4", bnb4bit, "", compute.TABLE4, compute.F32, bnbLayout("nf4", 64, 0)},
	{"NF4, large blocks", bnb4bit, "", compute.TABLE4, compute.F32, bnbLayout("nf4", 256, 16)},
	{"NF4, small blocks", bnb4bit, "", compute.F32, compute.F32, bnbLayout("nf4", 32, 256)},
	{"FP4", bnb4bit, "", compute.TABLE4, compute.F32, bnbLayout("fp4", 64, 0)},
	{"FP4, nested", bnb4bit, "", compute.NF4, compute.F32, bnbLayout("fp4", 64, 256)},
	{"LLM.int8", fields{"quant_method": "bitsandbytes", "load_in_8bit": true}, "", compute.F32, compute.F32, llmInt8},
}

func bnbLayout(kind string, block, nested int) layout {
	return func(_ *rand.Rand, module string, values []float32, out, in int) ([]safetensors.Tensor, []float32) {
		return bnb4(module, kind, values, out, in, block, nested)
	}
}

func llmInt8(_ *rand.Rand, module string, values []float32, out, in int) (list []safetensors.Tensor, stands []float32) {
	var data []byte
	largest := make([]float32, out)
	for i, v := range values {
		largest[i/in] = max(largest[i/in], float32(math.Abs(float64(v))))
	}
	for i, v := range values {
		q := math.Round(float64(v) / float64(largest[i/in]) * 127)
		data = append(data, byte(int8(q)))
		stands = append(stands, float32(q*float64(largest[i/in])/127))
	}
	scales := byteTensor(module+".SCB", safetensors.F32, []int{out}, floatsLE(largest))
	return []safetensors.Tensor{byteTensor(module+".weight", safetensors.I8, []int{out, in}, data), scales,
		byteTensor(module+".weight_format", safetensors.U8, []int{}, []byte{0})}, stands
}

// fp8Layout rounds to E4M3 by trying all codes, with a scale for each block.
func fp8Layout(suffix string, height, width int) layout {
	var table []float32 // NaN is left out, by 127 and 255 having the value of 0
	for code := range 256 {
		sign := 1 - 2*float64(code>>7)
		v := sign * (1 + float64(code&7)/8) * math.Pow(2, float64(code>>3&15)-7)
		if code>>3&15 == 0 {
			v = sign * float64(code&7) / 8 * math.Pow(2, -6)
		}
		if code&127 == 127 {
			v = 0
		}
		table = append(table, float32(v))
	}
	return func(_ *rand.Rand, module string, values []float32, out, in int) (list []safetensors.Tensor, stands []float32) {
		rows, cols := (out+height-1)/height, (in+width-1)/width
		scale := func(r, c int) float32 { return asBF16(0.01 / float32(1+r%5+c)) }
		var data []byte
		for i, v := range values {
			s := scale(i/in/height, i%in/width)
			code := nearest(table, float64(v)/float64(s))
			data, stands = append(data, byte(code)), append(stands, table[code]*s)
		}
		return []safetensors.Tensor{byteTensor(module+".weight", safetensors.F8E4M3, []int{out, in}, data),
			floatTensor(module+suffix, safetensors.BF16, rows, cols, scale)}, stands
	}
}

// A quantized checkpoint is the model of the values that it stands for.
func TestLoadQuantizedCheckpoints(t *testing.T) {
	tokens := []int32{1, 5, 9, 200, 3, 77}
	for _, c := range checkpoints {
		t.Run(c.name, func(t *testing.T) {
			quantized, plain := quantizedDirs(t, c.config, c.match, c.store)
			m, want := loadDir(t, quantized), loadDir(t, plain)
			q, down := m.Layers[1].QKV.Parts[0].Weight, m.Layers[1].Down.Parts[0].Weight
			if q.Format != c.q || down.Format != c.down {
				t.Errorf("q_proj is %s and down_proj %s, want %s and %s", q.Format, down.Format, c.q, c.down)
			}
			parts := map[string]*compute.Weight{}
			for name, part := range want.Linears() {
				parts[name] = part.Weight
			}
			for name, part := range m.Linears() {
				got, wanted := make([]float32, part.Weight.In), make([]float32, part.Weight.In)
				for i := range part.Weight.Out {
					part.Weight.Row(got, i)
					parts[name].Row(wanted, i)
					for j := range got {
						if !(math.Abs(float64(got[j]-wanted[j])) <= 3e-7*math.Abs(float64(wanted[j]))) {
							t.Fatalf("%s (%d,%d) is %v, want %v", name, i, j, got[j], wanted[j])
						}
					}
				}
			}
			nearNorm(t, "logits", rowLogits(t, m, tokens), rowLogits(t, want, tokens), 1e-5)
			nearNorm(t, "logits one by one", singleLogits(t, m, tokens), singleLogits(t, want, tokens), 1e-5)
			outline, err := model.LoadOutline(quantized)
			if err != nil || outline.Bytes() != m.Bytes() {
				t.Errorf("outline of %d bytes, want %d: %v", outline.Bytes(), m.Bytes(), err)
			}
		})
	}
}

func loadDir(t *testing.T, dir string) *model.Model {
	t.Helper()
	m, err := model.Load(cpu.New(2), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// singleLogits are the logits of the last token, each token being a step of
// generating.
func singleLogits(t *testing.T, m *model.Model, tokens []int32) []float32 {
	t.Helper()
	d := model.NewDecoder(m)
	cache := d.NewCache(len(tokens))
	var logits []float32
	for i := range tokens {
		h, err := d.Step([]model.Run{{Cache: cache, Tokens: tokens[i : i+1], Generated: i > 0}})
		if err != nil {
			t.Fatal(err)
		}
		logits = allLogits(m, d, h)
	}
	return logits
}

// Zero points of compressed-tensors as one byte each.
func TestCompressedZeroPointsOfBytes(t *testing.T) {
	config := compressed("pack-quantized", fields{"num_bits": 4, "type": "int", "symmetric": false, "strategy": "group", "group_size": 32})
	quantized, plain := quantizedDirs(t, config, "", gridLayout(gridOptions{size: 32, asymmetric: true}, func(g *grid, m string) []safetensors.Tensor {
		var zeros []byte
		for o := range g.out {
			for _, z := range g.zeros[o] {
				zeros = append(zeros, byte(z-8))
			}
		}
		return append(g.pack(m, safetensors.F16, false, false), byteTensor(m+".weight_zero_point", safetensors.I8, []int{g.out, g.groups}, zeros))
	}))
	tokens := []int32{1, 5, 9}
	nearNorm(t, "logits", rowLogits(t, loadDir(t, quantized), tokens), rowLogits(t, loadDir(t, plain), tokens), 1e-5)
}

// The files that stood for quantization_config before there was one.
func TestFormerQuantizationFiles(t *testing.T) {
	quantized, plain := quantizedDirs(t, nil, "", gptqLayout(1, gridOptions{size: 32}))
	file := filepath.Join(quantized, "quantize_config.json")
	writeText(t, file, `{"bits": 4, "group_size": 32, "desc_act": false}`)
	tokens := []int32{1, 5, 9}
	nearNorm(t, "logits", rowLogits(t, loadDir(t, quantized), tokens), rowLogits(t, loadDir(t, plain), tokens), 1e-5)
	writeText(t, file, `{"bits": 5}`)
	_, err := model.Load(cpu.New(1), quantized)
	fails(t, err, "quantize_config.json", "bits 5")
}

func TestLoadRefusesQuantizedCheckpoints(t *testing.T) {
	packed4 := fields{"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}
	for _, c := range []struct {
		name   string
		config fields
		damage func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor
		want   []string
	}{
		{"unknown method", fields{"quant_method": "aqlm"}, nil, []string{`quant_method "aqlm"`}},
		{"no method", fields{"bits": 4}, nil, []string{`quant_method ""`}},
		{"no object", nil, nil, []string{"mlp.down_proj"}},
		{"gptq bits", gptq(fields{"bits": 5}), nil, []string{"quantization_config: bits 5"}},
		{"gptq bits of a text", gptq(fields{"bits": "four"}), nil, []string{"quantization_config", "bits"}},
		{"gptq group", gptq(fields{"group_size": 0}), nil, []string{"group_size 0"}},
		{"gptq another group", gptq(fields{"group_size": 64}), nil, []string{"qzeros has shape"}},
		{"gptq by module", gptq(fields{"dynamic": fields{"+:x": fields{"bits": 8}}}), nil, []string{"dynamic"}},
		{"gptq layout", gptq(fields{"checkpoint_format": "marlin"}), nil, []string{`checkpoint_format "marlin"`}},
		{"awq bits", fields{"quant_method": "awq", "bits": 8}, nil, []string{"bits 8: supported in awq is 4"}},
		{"awq version", fields{"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemv"}, nil, []string{`version "gemv"`}},
		{"neither", fields{"quant_method": "bitsandbytes"}, nil, []string{"load_in_4bit and load_in_8bit"}},
		{"packed format", compressed("marlin-24", packed4), nil, []string{"config_groups.group_0.format", "marlin-24"}},
		{"strategy", compressed("pack-quantized", fields{"num_bits": 4, "strategy": "token"}), nil, []string{`weights.strategy "token"`}},
		{"no groups", fields{"quant_method": "compressed-tensors"}, nil, []string{"config_groups"}},
		{"a pattern", fields{"quant_method": "compressed-tensors", "format": "pack-quantized",
			"config_groups": fields{"g": fields{"targets": []string{"re:("}, "weights": packed4}}}, nil, []string{"config_groups.g.targets"}},
		{"cache", fields{"quant_method": "compressed-tensors", "kv_cache_scheme": fields{"num_bits": 8}}, nil, []string{"kv_cache_scheme"}},
		{"status", fields{"quant_method": "compressed-tensors", "quantization_status": "frozen"}, nil, []string{`quantization_status "frozen"`}},
		{"fp8 without blocks", fields{"quant_method": "fp8"}, nil, []string{"weight_block_size"}},
		{"unknown tensor", gptq(nil), func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, byteTensor("model.layers.0.mlp.up_proj.codebook", safetensors.U8, []int{1}, []byte{1}))
		}, []string{"up_proj.codebook is not part"}},
		{"bias", gptq(nil), func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, byteTensor("model.layers.0.mlp.up_proj.bias", safetensors.F16, []int{176}, append(make([]byte, 351), 1)))
		}, []string{"up_proj.bias is not part"}},
		{"missing scales", gptq(nil), func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return strings.HasSuffix(x.Name, "0.mlp.up_proj.scales") })
		}, []string{"up_proj.scales is missing"}},
		{"a scale that is no number", gptq(nil), func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			binary.LittleEndian.PutUint16(find(t, list, "model.layers.0.mlp.up_proj.scales").Data[8:], 0x7e00)
			return list
		}, []string{"up_proj.scales: element 4 is NaN"}},
		{"a group that is none", gptq(nil), func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			find(t, list, "model.layers.0.mlp.up_proj.g_idx").Data[4*7] = 9
			return list
		}, []string{"up_proj.g_idx: element 7 is 9, there are 2 groups"}},
		{"words of another type", gptq(nil), func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			find(t, list, "model.layers.0.mlp.up_proj.qweight").Dtype = safetensors.F32
			return list
		}, []string{"up_proj.qweight has type F32"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, _ := quantizedDirs(t, c.config, "mlp", gptqLayout(1, gridOptions{size: 32}))
			if c.damage != nil {
				editTensors(t, filepath.Join(dir, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor { return c.damage(t, list) })
			}
			m, err := model.Load(cpu.New(1), dir)
			if err == nil {
				m.Close()
			}
			fails(t, err, append(c.want, dir)...)
		})
	}
}

func TestLoadRefusesDamagedQuantStates(t *testing.T) {
	const name = "model.layers.0.mlp.up_proj.weight"
	for _, c := range []struct {
		from, to string // in the JSON
		tensor   string // to cut the last byte or value from
		want     []string
	}{
		{`"nf4"`, `"fp4"`, "", []string{`quant_type "fp4"`}},
		{`"blocksize":64`, `"blocksize":63`, "", []string{"blocksize 63"}},
		{`[176,64]`, `[64,176]`, "", []string{"shape [64 176]", "[176 64]"}},
		{`"nested_offset"`, `"nested_offzet"`, "", []string{"nested_offset is missing"}},
		{`"nested_blocksize":256`, `"nested_blocksize":-25`, "", []string{"nested_blocksize -25"}},
		{`{`, `[`, "", []string{"quant_state.bitsandbytes__nf4"}},
		{"", "", "", []string{name + " has 5631 bytes"}},
		{"", "", ".absmax", []string{name + ".absmax has shape"}},
		{"", "", ".nested_quant_map", []string{name + ".nested_quant_map has shape"}},
		{"", "", ".quant_map", []string{name + ".quant_map"}},
	} {
		t.Run(c.from+c.tensor, func(t *testing.T) {
			dir, _ := quantizedDirs(t, bnb4bit, "mlp", bnbLayout("nf4", 64, 256))
			editTensors(t, filepath.Join(dir, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
				if c.from != "" {
					x := find(t, list, name+".quant_state.bitsandbytes__nf4")
					x.Data = []byte(strings.Replace(string(x.Data), c.from, c.to, 1))
					x.Shape = []int{len(x.Data)}
					return list
				}
				x := find(t, list, name+c.tensor)
				x.Shape[0]--
				x.Data = x.Data[:len(x.Data)-x.Dtype.Size()]
				return list
			})
			_, err := model.Load(cpu.New(1), dir)
			fails(t, err, append(c.want, dir)...)
		})
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
