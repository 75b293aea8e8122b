package checkpoint

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// Description is what a model is, without its values.
type Description struct {
	Path         string `json:"path"`
	Format       string `json:"format"`       // safetensors or gguf
	Architecture string `json:"architecture"` // model_type of config.json
	Parameters   int64  `json:"parameters"`
	FileBytes    int64  `json:"file_bytes"` // of the weights' files
	Stored       []Type `json:"stored"`     // by what the tensors are stored as, most values first
	Context      int    `json:"context_length"`
	Layers       int    `json:"layers"`
	Width        int    `json:"hidden_size"`
	Vocabulary   int    `json:"vocab_size"`
	// Classes are the labels of a classifier.
	Classes []string `json:"classes,omitempty"`
	// Memory is what the weights would take in each format, as retort's quantize
	// stage stores them: F16 where rows are not whole blocks, vectors in F32.
	Memory    []Memory   `json:"memory"`
	Tokenizer *Tokens    `json:"tokenizer"` // null without one
	Tuning    Tuning     `json:"tuning"`
	Special   []TokenUse `json:"special_tokens"`
}

// Type is what some of the tensors are stored as.
type Type struct {
	Name    string `json:"type"`
	Tensors int    `json:"tensors"`
	Values  int64  `json:"values"` // 0 where the file does not count them
	Bytes   int64  `json:"bytes"`
}

// Memory is the size of all weights in a format.
type Memory struct {
	Format string `json:"format"`
	Bytes  int64  `json:"bytes"`
}

// Tokens describes a tokenizer.
type Tokens struct {
	Size         int    `json:"size"` // largest id plus one
	SHA256       string `json:"sha256"`
	ChatTemplate bool   `json:"chat_template"`
	TemplateHash string `json:"chat_template_sha256,omitempty"`
}

// TokenUse is a special token and what it is for.
type TokenUse struct {
	Use   string `json:"use"` // bos, eos, pad, unk
	ID    int32  `json:"id"`
	Token string `json:"token,omitempty"` // "" without a tokenizer
}

// Tuning says what training can change.
type Tuning struct {
	LoRATargets []string `json:"lora_targets"` // names of linear layers
	Full        bool     `json:"full"`         // all weights
	Bases       []string `json:"frozen_bases"` // what linear layers below LoRA can be stored in
}

// Describe says what the model at path is. Weights are not read.
func Describe(path string) (*Description, error) {
	d := &Description{Path: path, Format: "safetensors"}
	isGGUF, err := isModel(path)
	if err != nil {
		return nil, err
	}
	if isGGUF {
		d.Format = "gguf"
	}
	if d.FileBytes, d.Stored, err = stored(path, isGGUF); err != nil {
		return nil, err
	}
	c, err := d.model(path, isGGUF)
	if err != nil {
		return nil, err
	}
	t, err := Tokenizer(path)
	switch {
	case err == nil:
		d.Tokenizer = describeTokens(t)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	d.Special = special(c, t)
	return d, nil
}

// model fills in what the configuration and the tensors' shapes say, and
// returns the configuration as far as it names special tokens.
func (d *Description) model(path string, isGGUF bool) (*model.Config, error) {
	if is, err := d.classifier(path); is || err != nil {
		return &model.Config{BOS: -1, PAD: -1}, err
	}
	load := model.LoadOutline
	if isGGUF {
		load = model.LoadGGUFOutline
	}
	m, err := load(path)
	if err != nil {
		return nil, err
	}
	c := &m.Config
	d.Architecture, d.Context, d.Layers, d.Width, d.Vocabulary = c.ModelType, c.MaxPositionEmbeddings, c.NumHiddenLayers, c.HiddenSize, c.VocabSize
	d.Parameters = int64(m.Parameters())
	matrices := []*compute.Weight{m.Embed.Weight}
	if m.Head != m.Embed {
		matrices = append(matrices, m.Head.Weight)
	}
	for _, part := range m.Linears() {
		matrices = append(matrices, part.Weight)
	}
	d.Memory = memory(d.Parameters, matrices)
	d.Tuning = tuning(m)
	return c, nil
}

func describeTokens(t *tokenizer.Tokenizer) *Tokens {
	d := &Tokens{Size: t.VocabSize(), SHA256: t.Hash()}
	if template := t.ChatTemplate(); template != "" {
		sum := sha256.Sum256([]byte(template))
		d.ChatTemplate, d.TemplateHash = true, hex.EncodeToString(sum[:])
	}
	return d
}

// special lists the tokens that the configuration and the tokenizer name.
func special(c *model.Config, t *tokenizer.Tokenizer) []TokenUse {
	list := []TokenUse{}
	add := func(use string, id int32) {
		if id < 0 || slices.ContainsFunc(list, func(u TokenUse) bool { return u.Use == use && u.ID == id }) {
			return
		}
		u := TokenUse{Use: use, ID: id}
		if t != nil {
			u.Token, _ = t.Token(id)
		}
		list = append(list, u)
	}
	named := func(use string, of func() (int32, bool)) {
		if id, ok := of(); ok {
			add(use, id)
		}
	}
	if t != nil {
		named("bos", t.BOS)
		named("eos", t.EOS)
		named("pad", t.PAD)
		named("unk", t.UNK)
	}
	add("bos", c.BOS)
	for _, id := range c.EOS {
		add("eos", id)
	}
	add("pad", c.PAD)
	order := []string{"bos", "eos", "pad", "unk"}
	slices.SortStableFunc(list, func(a, b TokenUse) int {
		return cmp.Compare(slices.Index(order, a.Use), slices.Index(order, b.Use))
	})
	return list
}

// memoryFormats are those that Memory lists.
var memoryFormats = []compute.Format{compute.F32, compute.BF16, compute.F16, compute.Q8_0, compute.Q6_K, compute.Q5_0, compute.Q4_K, compute.Q4_0, compute.NF4}

// memory is the size of so many values, those of the matrices and of vectors.
func memory(parameters int64, matrices []*compute.Weight) []Memory {
	vectors := parameters
	for _, w := range matrices {
		vectors -= int64(w.Out) * int64(w.In)
	}
	var list []Memory
	for _, f := range memoryFormats {
		bytes := 4 * vectors
		for _, w := range matrices {
			use := f
			if w.In%f.BlockValues() != 0 {
				use = compute.F16
			}
			bytes += int64(use.MatrixBytes(w.Out, w.In))
		}
		list = append(list, Memory{f.String(), bytes})
	}
	return list
}

func tuning(m *model.Model) Tuning {
	t := Tuning{LoRATargets: []string{}, Full: true, Bases: []string{}}
	whole := map[compute.Format]bool{}
	for name, part := range m.Linears() {
		name = strings.TrimSuffix(name, ".weight")
		if name = name[strings.LastIndexByte(name, '.')+1:]; !slices.Contains(t.LoRATargets, name) {
			t.LoRATargets = append(t.LoRATargets, name)
		}
		for _, f := range []compute.Format{compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.NF4} {
			w := part.Weight
			fits := w.Format == f || w.Format.BlockValues() == 1 && w.In%f.BlockValues() == 0
			before, seen := whole[f]
			whole[f] = fits && (before || !seen)
		}
	}
	for _, f := range []compute.Format{compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.NF4} {
		if whole[f] {
			t.Bases = append(t.Bases, strings.ToLower(f.String()))
		}
	}
	return t
}

// stored counts what the files hold.
func stored(path string, isGGUF bool) (bytes int64, types []Type, err error) {
	count := storedSafetensors
	if isGGUF {
		count = storedGGUF
	}
	bytes, byName, err := count(path)
	if err != nil {
		return 0, nil, fmt.Errorf("read %s: %w", path, err)
	}
	for _, t := range byName {
		types = append(types, *t)
	}
	slices.SortFunc(types, func(a, b Type) int {
		return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return bytes, types, nil
}
