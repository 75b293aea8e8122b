package model_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

// reference computes a model plainly, from its saved tensors by name.
type reference struct {
	c       model.Config
	tensors map[string][]float64
	turned  []int // for how long a sequence each row is turned; nil is for that of all rows
}

// newReference is of m's weights as they are.
func newReference(t *testing.T, m *model.Model) *reference {
	t.Helper()
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	r := &reference{c: m.Config, tensors: map[string][]float64{}}
	for _, x := range tensorsOf(t, filepath.Join(dir, weightsFile)) {
		w, err := compute.NewWeight(compute.F32, 1, len(x.Data)/4, x.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range w.Floats() {
			r.tensors[x.Name] = append(r.tensors[x.Name], float64(v))
		}
	}
	return r
}

func (r *reference) gemma() bool { return strings.HasPrefix(r.c.ModelType, "gemma") }

// find is the one tensor whose name has all the parts.
func (r *reference) find(prefix string, ends ...string) []float64 {
	for _, end := range ends {
		if v := r.tensors[prefix+end]; v != nil {
			return v
		}
	}
	return nil
}

func (r *reference) norm(x, w []float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	scale := 1 / math.Sqrt(sum/float64(len(x))+r.c.RMSNormEps)
	out := make([]float64, len(x))
	for i, v := range x {
		gain := w[i]
		if r.gemma() {
			gain++
		}
		out[i] = v * scale * gain
	}
	return out
}

// linear is W·x + b of a matrix, or of several below one another.
func (r *reference) linear(x []float64, prefix string, names ...string) []float64 {
	var out []float64
	for _, name := range names {
		w, b := r.tensors[prefix+name+".weight"], r.tensors[prefix+name+".bias"]
		for i := range len(w) / len(x) {
			sum := 0.0
			for j, v := range x {
				sum += w[i*len(x)+j] * v
			}
			if b != nil {
				sum += b[i]
			}
			out = append(out, sum)
		}
	}
	return out
}

func (r *reference) act(x float64) float64 {
	switch r.c.HiddenAct {
	case "gelu":
		return x * (1 + math.Erf(x/math.Sqrt2)) / 2
	case "gelu_pytorch_tanh", "gelu_new", "gelu_fast":
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	return x / (1 + math.Exp(-x))
}

// angles are the frequencies of a layer, and the factor of its cosines and sines.
func (r *reference) angles(layer, length int) (f []float64, scale float64) {
	c, s, positions := &r.c, &r.c.Rope, float64(r.c.MaxPositionEmbeddings)
	dim := float64(c.HeadDim)
	if c.PartialRotaryFactor > 0 {
		dim *= c.PartialRotaryFactor
	}
	theta, kind, scale := c.RopeTheta, s.Type, 1.0
	if r.sliding(layer) && c.ModelType == "gemma3_text" {
		theta, kind = c.LocalRopeTheta, ""
	}
	if kind == "dynamic" && length > c.MaxPositionEmbeddings {
		theta *= math.Pow(s.Factor*float64(length)/positions-s.Factor+1, dim/(dim-2))
	}
	for j := range int(dim) / 2 {
		v := 1 / math.Pow(theta, 2*float64(j)/dim)
		switch kind {
		case "linear":
			v /= s.Factor
		case "llama3":
			old, wave := float64(s.OriginalMax), 2*math.Pi/v
			smooth := (old/wave - s.LowFreq) / (s.HighFreq - s.LowFreq)
			if wave > old/s.LowFreq {
				v /= s.Factor
			} else if wave >= old/s.HighFreq {
				v = (1-smooth)*v/s.Factor + smooth*v
			}
		case "longrope":
			by := s.ShortFactors
			if length > s.OriginalMax {
				by = s.LongFactors
			}
			v /= by[j]
			scale = math.Sqrt(1 + math.Log(positions/float64(s.OriginalMax))/math.Log(float64(s.OriginalMax)))
		case "yarn":
			original, factor, fast, slow := positions, s.Factor, 32.0, 1.0
			if s.OriginalMax > 0 {
				original, factor = float64(s.OriginalMax), positions/float64(s.OriginalMax)
			}
			scale = 0.1*math.Log(factor) + 1
			if s.BetaFast > 0 {
				fast = s.BetaFast
			}
			if s.BetaSlow > 0 {
				slow = s.BetaSlow
				scale = (0.1*s.Mscale*math.Log(factor) + 1) / (0.1*s.MscaleAll*math.Log(factor) + 1)
			}
			at := func(turns float64) float64 { return dim * math.Log(original/(turns*2*math.Pi)) / (2 * math.Log(theta)) }
			low, high := max(math.Floor(at(fast)), 0), min(math.Ceil(at(slow)), dim-1)
			if s.Fractional {
				low, high = max(at(fast), 0), min(at(slow), dim-1)
			}
			if low == high {
				high += 0.001
			}
			ramp := min(max((float64(j)-low)/(high-low), 0), 1)
			v = v/factor*ramp + v*(1-ramp)
		}
		f = append(f, v)
	}
	return f, scale
}

func (r *reference) sliding(layer int) bool {
	c := &r.c
	return c.SlidingWindow > 0 && (c.LayerTypes == nil || c.LayerTypes[layer] == "sliding_attention")
}

func (r *reference) rotate(head []float64, position int, f []float64, scale float64) {
	for j, v := range f {
		a, b := head[j], head[j+len(f)]
		sin, cos := math.Sincos(float64(position) * v)
		head[j], head[j+len(f)] = scale*(a*cos-b*sin), scale*(b*cos+a*sin)
	}
}

// attention is of the normalized rows of a layer.
func (r *reference) attention(layer int, p string, x [][]float64) [][]float64 {
	c := &r.c
	e, h, g := c.HeadDim, c.NumAttentionHeads, c.NumKeyValueHeads
	if c.LayerHeads != nil {
		h, g = c.LayerHeads[layer], c.LayerKVHeads[layer]
	}
	var qkv, out [][]float64
	for i := range x {
		row := r.linear(x[i], p, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.qkv_proj", "attn.qkv_proj")
		for k := range h + g {
			head, name := row[k*e:(k+1)*e], "q_norm.weight"
			if k >= h {
				name = "k_norm.weight"
			}
			if w := r.find(p, "self_attn."+name, "attn."+name); w != nil {
				copy(head, r.norm(head, w))
			}
			length := len(x)
			if r.turned != nil {
				length = r.turned[i]
			}
			f, scale := r.angles(layer, length)
			r.rotate(head, i, f, scale)
		}
		qkv = append(qkv, row)
	}
	of := float64(e)
	if c.QueryPreAttnScalar > 0 {
		of = c.QueryPreAttnScalar
	}
	for i := range x {
		row := make([]float64, h*e)
		for k := range h {
			first, group := 0, k*g/h
			if r.sliding(layer) {
				first = max(0, i-c.SlidingWindow+1)
			}
			total := 0.0
			for j := first; j <= i; j++ {
				s := 0.0
				for d := range e {
					s += qkv[i][k*e+d] * qkv[j][(h+group)*e+d] / math.Sqrt(of)
				}
				if limit := c.AttnLogitSoftcap; limit > 0 {
					s = limit * math.Tanh(s/limit)
				}
				total += math.Exp(s)
				for d := range e {
					row[k*e+d] += math.Exp(s) * qkv[j][(h+g+group)*e+d]
				}
			}
			for d := range e {
				row[k*e+d] /= total
			}
		}
		out = append(out, r.linear(row, p, "self_attn.o_proj", "attn.out_proj"))
	}
	return out
}

func (r *reference) mlp(p string, x []float64) []float64 {
	both := r.linear(x, p, "mlp.gate_proj", "mlp.up_proj", "mlp.gate_up_proj", "ffn.proj_1")
	n := len(both) / 2
	for i := range n {
		both[i] = r.act(both[i]) * both[n+i]
	}
	return r.linear(both[:n], p, "mlp.down_proj", "ffn.proj_2")
}

// logits are those of all tokens (T·V).
func (r *reference) logits(tokens []int32) []float32 {
	c := &r.c
	embed := r.find("", "model.embed_tokens.weight", "transformer.token_embeddings.weight")
	post := r.tensors["model.layers.0.post_feedforward_layernorm.weight"] != nil
	x := make([][]float64, len(tokens))
	for i, id := range tokens {
		for _, v := range embed[int(id)*c.HiddenSize:][:c.HiddenSize] {
			if r.gemma() {
				v *= math.Sqrt(float64(c.HiddenSize))
			}
			x[i] = append(x[i], v)
		}
	}
	for layer := range c.NumHiddenLayers {
		p := fmt.Sprintf("model.layers.%d.", layer)
		if c.ModelType == "openelm" {
			p = fmt.Sprintf("transformer.layers.%d.", layer)
		}
		normed := make([][]float64, len(x))
		for i := range x {
			normed[i] = r.norm(x[i], r.find(p, "input_layernorm.weight", "attn_norm.weight"))
		}
		for i, branch := range r.attention(layer, p, normed) {
			before := r.find(p, "post_attention_layernorm.weight", "ffn_norm.weight")
			if post {
				branch = r.norm(branch, before)
				before = r.find(p, "pre_feedforward_layernorm.weight")
			}
			add(x[i], branch)
			branch = r.mlp(p, r.norm(x[i], before))
			if post {
				branch = r.norm(branch, r.find(p, "post_feedforward_layernorm.weight"))
			}
			add(x[i], branch)
		}
	}
	head := r.find("", "lm_head.weight", "model.embed_tokens.weight", "transformer.token_embeddings.weight")
	r.tensors["head.weight"] = head
	var out []float32
	for i := range x {
		for _, v := range r.linear(r.norm(x[i], r.find("", "model.norm.weight", "transformer.norm.weight")), "", "head") {
			if limit := c.FinalLogitSoftcap; limit > 0 {
				v = limit * math.Tanh(v/limit)
			}
			out = append(out, float32(v))
		}
	}
	return out
}

func add(x, y []float64) {
	for i, v := range y {
		x[i] += v
	}
}
