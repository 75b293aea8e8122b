package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ml/retort/internal/gguf"
)

// ggufConfig reads the configuration of f from its metadata and, where no key
// says it, from which tensors there are.
func ggufConfig(f *gguf.File) (Config, error) {
	meta := f.Metadata()
	arch, err := architecture(meta)
	if err != nil {
		return Config{}, err
	}
	r := archReader{meta: meta, prefix: arch + ".", known: map[string]bool{}}
	family := ggufFamilyOf(func(f *ggufFamily) bool { return f.arch == arch })
	c := Config{
		ModelType: family.modelType, HiddenAct: family.activation, InitializerRange: 0.02,
		HiddenSize:            r.size("embedding_length", 0),
		IntermediateSize:      r.size("feed_forward_length", 0),
		NumHiddenLayers:       r.size("block_count", 0),
		NumAttentionHeads:     r.size("attention.head_count", 0),
		MaxPositionEmbeddings: r.size("context_length", 0),
		RMSNormEps:            r.number("attention.layer_norm_rms_epsilon", 0),
		RopeTheta:             r.number("rope.freq_base", 10000),
	}
	c.NumKeyValueHeads = r.size("attention.head_count_kv", c.NumAttentionHeads)
	if len(r.errs) == 0 {
		r.headDim(&c)
		r.readFamily(f, family, &c)
		r.refuse()
	}
	if err := errors.Join(r.errs...); err != nil {
		return Config{}, err
	}
	if n := len(f.Tensors()); c.NumHiddenLayers > n {
		return Config{}, fmt.Errorf("metadata %sblock_count: %d, the file has only %d tensors", r.prefix, c.NumHiddenLayers, n)
	}
	if err := ggufVocabulary(f, &c, r.prefix); err != nil {
		return Config{}, err
	}
	has := func(name string) bool { _, ok := f.Tensor(name); return ok }
	c.TieWordEmbeddings = !has("output.weight")
	c.AttentionBias = arch == "qwen2" || family.mayHaveBiases && has("blk.0.attn_q.bias")
	c.OutputBias = family.mayHaveBiases && has("blk.0.attn_output.bias")
	c.MLPBias = family.mayHaveBiases && has("blk.0.ffn_gate.bias")
	return c, c.Validate()
}

// architecture is the model type, one that is supported.
func architecture(meta gguf.Metadata) (string, error) {
	kind, ok, err := gguf.Get[string](meta, "general.type")
	if err != nil {
		return "", err
	}
	if ok && kind != "model" {
		return "", fmt.Errorf("metadata general.type: %q: want a model", kind)
	}
	arch, ok, err := gguf.Get[string](meta, "general.architecture")
	if err != nil {
		return "", err
	}
	if !ok {
		return "", errors.New("metadata general.architecture is missing")
	}
	if ggufFamilyOf(func(f *ggufFamily) bool { return f.arch == arch }) == nil {
		var list []string
		for _, f := range ggufFamilies {
			if !slices.Contains(list, f.arch) {
				list = append(list, f.arch)
			}
		}
		return "", fmt.Errorf("metadata general.architecture: %q: supported are %s", arch, strings.Join(list, ", "))
	}
	return arch, nil
}

// ggufVocabulary sets what c says of tokens. The vocabulary, the embedding and
// vocab_size must agree, as llama.cpp demands.
func ggufVocabulary(f *gguf.File, c *Config, prefix string) error {
	embedding, ok := f.Tensor("token_embd.weight")
	if !ok {
		return errors.New("tensor token_embd.weight is missing")
	}
	if len(embedding.Dims) != 2 {
		return fmt.Errorf("tensor token_embd.weight has dims %v, want 2 of them", embedding.Dims)
	}
	c.VocabSize = embedding.Dims[1]
	meta := f.Metadata()
	size, ok, err := meta.Int(prefix + "vocab_size")
	if err != nil {
		return err
	}
	if ok && size != int64(c.VocabSize) {
		return fmt.Errorf("metadata %svocab_size: %d, token_embd.weight has %d rows", prefix, size, c.VocabSize)
	}
	c.BOS, c.PAD = -1, -1
	v, err := readVocab(meta)
	if err != nil {
		return err
	}
	if v.Model == "" || v.Model == noVocab {
		return nil
	}
	if len(v.Tokens) != c.VocabSize {
		return fmt.Errorf("metadata %stokens: %d tokens, token_embd.weight has %d rows", vocabPrefix, len(v.Tokens), c.VocabSize)
	}
	c.BOS, c.PAD = v.BOS, v.PAD
	c.EOS, err = endTokens(meta, v)
	return err
}

// archReader reads the keys of an architecture, notes them, and keeps all errors.
type archReader struct {
	meta   gguf.Metadata
	prefix string
	known  map[string]bool
	errs   []error
}

func (r *archReader) bad(key, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("metadata %s%s%s", r.prefix, key, fmt.Sprintf(format, args...)))
}

// size is a count from 1; with a zero otherwise the key is required.
func (r *archReader) size(key string, otherwise int) int {
	r.known[key] = true
	n, ok, err := r.meta.Int(r.prefix + key)
	switch {
	case err != nil:
		r.errs = append(r.errs, err)
	case !ok && otherwise == 0:
		r.bad(key, " is missing")
	case !ok:
		return otherwise
	case n < 1 || n > maxSize:
		r.bad(key, ": %d: want 1 to %d", n, maxSize)
	default:
		return int(n)
	}
	return 0
}

// maxSize is the largest size that Config.Validate accepts.
const maxSize = 1 << 24

// number is a positive number; with a zero otherwise the key is required.
func (r *archReader) number(key string, otherwise float64) float64 {
	r.known[key] = true
	v, ok, err := gguf.Get[float32](r.meta, r.prefix+key)
	switch {
	case err != nil:
		r.errs = append(r.errs, err)
	case !ok && otherwise == 0:
		r.bad(key, " is missing")
	case !ok:
		return otherwise
	case !(v > 0) || math.IsInf(float64(v), 0):
		r.bad(key, ": %v: want a positive number", v)
	default:
		return decimal(v)
	}
	return 0
}

// decimal is the number that whoever wrote v meant: 1e-6, not 9.99999997e-7.
func decimal(v float32) float64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64) // a number's own text
	return f
}

// headDim sets the width of a head, which keys, values and rotary positions share.
func (r *archReader) headDim(c *Config) {
	even := 0 // key_length is then required
	if c.HiddenSize%c.NumAttentionHeads == 0 {
		even = c.HiddenSize / c.NumAttentionHeads
	}
	c.HeadDim = r.size("attention.key_length", even)
	for _, key := range []string{"attention.value_length", "rope.dimension_count"} {
		n := r.size(key, c.HeadDim)
		if c.ModelType == "phi3" && key == "rope.dimension_count" && n > 0 && n < c.HeadDim {
			c.PartialRotaryFactor = float64(n) / float64(c.HeadDim)
			continue
		}
		if n != c.HeadDim && n != 0 && c.HeadDim != 0 {
			r.bad(key, ": %d: only the width of a key, %d, is supported", n, c.HeadDim)
		}
	}
}

// refuse blames every key of the architecture that is not read: it would
// change the mathematics in a way that is not implemented.
func (r *archReader) refuse() {
	r.known["vocab_size"] = true
	scaling, _, err := gguf.Get[string](r.meta, r.prefix+ropeScaling+"type")
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	for _, kv := range r.meta {
		key, ok := strings.CutPrefix(kv.Key, r.prefix)
		switch {
		case !ok || r.known[key] || harmless(key, kv.Value):
		case strings.HasPrefix(key, ropeScaling) && scaling == "none":
		default:
			r.bad(key, ": %v is not supported", kv.Value)
		}
	}
}

const ropeScaling = "rope.scaling."

// harmless tells whether a key that is not read has the value that it has for
// every model of the family.
func harmless(key string, v any) bool {
	switch key {
	case "expert_count", "expert_used_count", "attention.sliding_window":
		return v == uint32(0)
	case "attention.causal":
		return v == true
	case "tensor_data_layout":
		return v == "Meta AI original pth" // of early converters: queries and keys interleaved, as now
	}
	return false
}
