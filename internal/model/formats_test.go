package model_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

var allFormats = []compute.Format{
	compute.F32, compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.Q5_0, compute.Q4_K, compute.Q6_K, compute.NF4,
	compute.Q4_1, compute.Q5_1, compute.Q2_K, compute.Q3_K, compute.Q5_K,
	compute.IQ4_NL, compute.IQ4_XS, compute.TQ1_0, compute.TQ2_0, compute.MXFP4,
}

// blocky is a random model whose rows are whole blocks of every format.
func blocky(t *testing.T) *model.Model {
	t.Helper()
	c := tinyConfig(true)
	c.ModelType, c.AttentionBias = "llama", false
	c.HiddenSize, c.IntermediateSize, c.HeadDim, c.InitializerRange = 256, 512, 64, 0.06
	m, err := model.New(cpu.New(2), c, random.Stream(5, "blocky"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// randomBlocks is n values of about 0.06 in a format of ggml: random bytes but
// for the float16 numbers.
func randomBlocks(rng *rand.Rand, f compute.Format, n int) []byte {
	var data []byte
	half := func(at int, scale float64) {
		binary.LittleEndian.PutUint16(data[at:], compute.F32ToF16(float32(rng.NormFloat64()*scale)))
	}
	for range n / f.BlockValues() {
		at := len(data)
		for range f.RowBytes(f.BlockValues()) {
			data = append(data, byte(rng.Uint32()))
		}
		switch f {
		case compute.F32:
			binary.LittleEndian.PutUint32(data[at:], math.Float32bits(float32(rng.NormFloat64()*0.06)))
		case compute.F16:
			half(at, 0.06)
		case compute.BF16:
			binary.LittleEndian.PutUint16(data[at:], compute.F32ToBF16(float32(rng.NormFloat64()*0.06)))
		case compute.Q8_0:
			half(at, 0.001)
		case compute.Q4_K:
			half(at, 0.0002)
			half(at+2, 0.001)
		case compute.Q6_K:
			half(at+208, 0.00005)
		case compute.Q4_1, compute.Q5_1:
			half(at, 0.005)
			half(at+2, 0.05)
		case compute.Q5_K:
			half(at, 0.0001)
			half(at+2, 0.001)
		case compute.Q2_K:
			half(at+80, 0.003)
			half(at+82, 0.005)
		case compute.Q3_K:
			half(at+108, 0.001)
		case compute.IQ4_NL:
			half(at, 0.001)
		case compute.IQ4_XS:
			half(at, 0.00005)
		case compute.TQ1_0:
			half(at+52, 0.06)
		case compute.TQ2_0:
			half(at+64, 0.06)
		case compute.MXFP4:
			data[at] = byte(119 + rng.IntN(4))
		default:
			half(at, 0.01)
		}
	}
	return data
}

// randomNF4 is n values of about 0.06.
func randomNF4(rng *rand.Rand, n int) compute.NF4Data {
	d := compute.NF4Data{Codes: make([]byte, n/2), Absmax: make([]byte, (n+63)/64), NestedOffset: 0.1}
	for i := range d.Codes {
		d.Codes[i] = byte(rng.Uint32())
	}
	for i := range d.Absmax {
		d.Absmax[i] = byte(rng.Uint32())
	}
	for i := range 16 {
		d.QuantMap = append(d.QuantMap, float32(i)/8-1)
	}
	for i := range 256 {
		d.NestedMap = append(d.NestedMap, float32(i)/128-1)
	}
	for range (len(d.Absmax) + 255) / 256 {
		d.NestedAbsmax = append(d.NestedAbsmax, 0.05)
	}
	return d
}

func randomWeight(t *testing.T, rng *rand.Rand, f compute.Format, out, in int) *compute.Weight {
	t.Helper()
	var w *compute.Weight
	var err error
	if f == compute.NF4 {
		w, err = compute.NewNF4Weight(out, in, randomNF4(rng, out*in))
	} else {
		w, err = compute.NewWeight(f, out, in, randomBlocks(rng, f, out*in))
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// expanded is w in float32.
func expanded(t *testing.T, w *compute.Weight) *compute.Weight {
	t.Helper()
	values := make([]float32, w.Out*w.In)
	for i := range w.Out {
		w.Row(values[i*w.In:(i+1)*w.In], i)
	}
	f, err := compute.NewWeight(compute.F32, w.Out, w.In, floatsLE(values))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A frozen base in any format trains as the values that it stands for do.
func TestLowRankUpdatesOverEveryFormat(t *testing.T) {
	in := pack(40, []int32{1, 2, 3, 4, 5, 2, 2, 9}, []int32{6, 2, 10}, []int32{0, 7, 7, 9, 2, 1, 3})
	for _, f := range allFormats {
		t.Run(f.String(), func(t *testing.T) {
			m, plain := blocky(t), blocky(t)
			rng, bytes, values := random.Stream(8, "weights"), 0, 0
			parts := map[string]*compute.Weight{}
			for name, part := range m.Linears() {
				part.Weight = randomWeight(t, rng, f, part.Weight.Out, part.Weight.In)
				parts[name] = part.Weight
				bytes, values = bytes+part.Weight.Bytes(), values+part.Weight.Out*part.Weight.In
			}
			for name, part := range plain.Linears() {
				part.Weight = expanded(t, parts[name])
			}
			if most := map[compute.Format]float64{compute.NF4: 0.517, compute.Q4_K: 0.5625, compute.Q8_0: 1.0625}[f]; most > 0 && float64(bytes) > most*float64(values) {
				t.Errorf("%d bytes for %d values", bytes, values)
			}
			addNonzeroLoRA(t, m, model.LoRA{R: 3})
			addNonzeroLoRA(t, plain, model.LoRA{R: 3})
			loss, grads := lossAndGradients(t, m, 40, in)
			wantLoss, want := lossAndGradients(t, plain, 40, in)
			nearNumber(t, "loss", loss, wantLoss, 1e-5)
			for i, p := range m.Params() {
				nearNorm(t, "gradient of "+p.Name, grads[i], want[i], 1e-5)
				if !slices.ContainsFunc(grads[i], func(v float32) bool { return v != 0 }) {
					t.Errorf("the gradient of %s is zero", p.Name)
				}
			}
		})
	}
}

// A file's blocks are the matrix's, rows of queries and keys in their places.
func TestLoadGGUFOfBlocks(t *testing.T) {
	types := map[compute.Format]gguf.TensorType{
		compute.F32: gguf.F32, compute.F16: gguf.F16, compute.BF16: gguf.BF16, compute.Q8_0: gguf.Q8_0, compute.Q4_0: gguf.Q4_0,
		compute.Q5_0: gguf.Q5_0, compute.Q4_K: gguf.Q4_K, compute.Q6_K: gguf.Q6_K,
		compute.Q4_1: gguf.Q4_1, compute.Q5_1: gguf.Q5_1, compute.Q2_K: gguf.Q2_K, compute.Q3_K: gguf.Q3_K, compute.Q5_K: gguf.Q5_K,
		compute.IQ4_NL: gguf.IQ4_NL, compute.IQ4_XS: gguf.IQ4_XS, compute.TQ1_0: gguf.TQ1_0, compute.TQ2_0: gguf.TQ2_0,
		compute.MXFP4: gguf.MXFP4,
	}
	source := blocky(t)
	for format, typ := range types {
		t.Run(format.String(), func(t *testing.T) {
			file, rng := newGGUF(t, source), random.Stream(4, "blocks")
			const hidden, ff = 256, 512
			q, down := randomWeight(t, rng, format, hidden, hidden), randomWeight(t, rng, format, hidden, ff)
			embed := randomWeight(t, rng, format, 11, hidden)
			file.typed("blk.1.attn_q.weight", typ, q.Data(), hidden, hidden)
			file.typed("blk.1.ffn_down.weight", typ, down.Data(), ff, hidden)
			file.typed("token_embd.weight", typ, embed.Data(), hidden, 11)
			m, err := model.LoadGGUF(cpu.New(2), file.write(t))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			sameRows(t, "embedding", m.Embed.Weight, embed, func(i int) int { return i })
			sameRows(t, "down", m.Layers[1].Down.Parts[0].Weight, down, func(i int) int { return i })
			// Row 2·j of a head of 64 is its j-th, row 2·j+1 the j-th of its second half.
			sameRows(t, "q", m.Layers[1].QKV.Parts[0].Weight, q, func(i int) int { return i/64*64 + i%2*32 + i%64/2 })
			for i, v := range rowLogits(t, m, []int32{1, 2, 3, 4}) {
				if v-v != 0 {
					t.Fatalf("logit %d is %v", i, v)
				}
			}
		})
	}
}

// sameRows compares row i of the file's matrix with row at(i) of the model's.
func sameRows(t *testing.T, what string, got, file *compute.Weight, at func(i int) int) {
	t.Helper()
	if got.Format != file.Format || got.Bytes() != file.Bytes() {
		t.Fatalf("%s: %s of %d bytes, want %s of %d", what, got.Format, got.Bytes(), file.Format, file.Bytes())
	}
	a, b := make([]float32, got.In), make([]float32, got.In)
	for i := range file.Out {
		got.Row(a, at(i))
		file.Row(b, i)
		if !slices.Equal(a, b) {
			t.Fatalf("%s: row %d of the file is not row %d", what, i, at(i))
		}
	}
}
