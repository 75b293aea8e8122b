package recipes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/quantize"
)

// madeDir is the directory of a stage's artifact, "" if it is not there yet.
type madeDir func(stage string) string

// outlined is what load will return, without values: the models are there, or
// what stages that have yet to run will make.
type outlined struct {
	model  *model.Model
	copies int    // bytes of matrices that are in memory beside their file
	words  string // where its tokenizer is, a directory or a GGUF file; "" if it is yet to be made
}

// beside is how much memory the model takes besides its weights as stored: for
// copies of matrices, and the tokenizer.
func (o *outlined) beside() int64 {
	return int64(o.copies) + int64(o.model.Config.VocabSize)*tokenBytes
}

// bytes is how much memory the model takes with the tokenizer, once it is read.
func (o *outlined) bytes() int64 { return int64(o.model.Bytes()) + o.beside() }

// outline is load without reading weights.
func (r *Recipe) outline(made madeDir, ref string) (*outlined, error) {
	if m, ok := r.Models[ref]; ok {
		return outlinePath(m.Path)
	}
	name, part, _ := strings.Cut(ref, ".")
	dir := made(name)
	switch s := r.find(name).(type) {
	case *quantizeStage:
		if dir != "" {
			return outlinePath(filepath.Join(dir, s.fileName()))
		}
		return s.outline(r, made)
	case *trainStage:
		whole := s.LoRA == nil || part == mergedSuffix
		if whole && dir != "" {
			return outlinePath(filepath.Join(dir, modelDir))
		}
		o, err := s.tuned(r, made)
		if err != nil || !whole {
			return o, err
		}
		if err := o.model.Merge(); err != nil {
			return nil, err
		}
		o.copies = 0
		// A model directory has float32 where ggml's blocks were.
		eachMatrix(o.model, func(w *compute.Weight) compute.Format {
			if w.Format.BlockValues() > 1 {
				return compute.F32
			}
			return w.Format
		})
		return o, nil
	}
	return nil, fmt.Errorf("model %q: no such model", ref) // the recipe was checked
}

// outlinePath is loadPath.
func outlinePath(path string) (o *outlined, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	o = &outlined{words: path}
	if info.IsDir() {
		o.model, err = model.LoadOutline(path)
		return o, err
	}
	if o.model, err = model.LoadGGUFOutline(path); err != nil {
		return nil, err
	}
	o.copies = o.model.GGUFCopies()
	return o, nil
}

// outline is of the file that the stage will make.
func (s *quantizeStage) outline(r *Recipe, made madeDir) (*outlined, error) {
	o, err := r.outline(made, s.Model)
	if err != nil {
		return nil, err
	}
	if err := o.model.Merge(); err != nil {
		return nil, err
	}
	if err := quantize.Outline(o.model, s.Options); err != nil {
		return nil, err
	}
	o.copies = o.model.GGUFCopies()
	return o, nil
}

// tuned is the model that the stage has trained, as reading it gives it: the
// base with an adapter, or all weights.
func (s *trainStage) tuned(r *Recipe, made madeDir) (*outlined, error) {
	if s.New != nil {
		return s.outlineNew(r, made)
	}
	o, err := s.outlineBase(r, made)
	if err != nil {
		return nil, err
	}
	if s.LoRA != nil {
		return o, s.addLoRA(o.model, nil)
	}
	o.copies = 0
	eachMatrix(o.model, func(*compute.Weight) compute.Format { return compute.F32 })
	return o, nil
}

// outlineBase is the student as the stage finds it, with its own adapter merged.
func (s *trainStage) outlineBase(r *Recipe, made madeDir) (*outlined, error) {
	o, err := r.outline(made, s.Student)
	if err != nil {
		return nil, err
	}
	return o, o.model.Merge()
}

// outlineNew is the model that the stage begins with.
func (s *trainStage) outlineNew(r *Recipe, made madeDir) (*outlined, error) {
	c := s.New.config(nil)
	dir := made(s.Tokenizer)
	if dir != "" {
		t, err := tokenizer.Load(dir)
		if err != nil {
			return nil, err
		}
		c.VocabSize = t.VocabSize()
	} else if t, ok := r.find(s.Tokenizer).(*tokenizerStage); ok {
		c.VocabSize = orElse(t.VocabSize, 4096) // at most, and usually
	}
	m, err := model.NewOutline(c, compute.F32)
	return &outlined{model: m, words: dir}, err
}

// outlineStudent is the model while the stage trains it.
func (s *trainStage) outlineStudent(r *Recipe, made madeDir) (*outlined, error) {
	if s.LoRA == nil {
		o, err := s.tuned(r, made)
		if err != nil {
			return nil, err
		}
		return o, o.model.Unfreeze()
	}
	o, err := s.outlineBase(r, made)
	if err != nil {
		return nil, err
	}
	// As student does it: what is trained whole is no longer stored in fewer bits.
	return o, errors.Join(s.freeze(o.model), s.addLoRA(o.model, nil))
}

// eachMatrix gives the matrices of an outline other formats.
func eachMatrix(m *model.Model, format func(w *compute.Weight) compute.Format) {
	tied := m.Head == m.Embed
	convert := func(w *compute.Weight) *compute.Weight { return compute.Outline(format(w), w.Out, w.In) }
	for _, part := range m.Linears() {
		part.Weight = convert(part.Weight)
	}
	m.Embed.Weight = convert(m.Embed.Weight)
	if !tied {
		m.Head.Weight = convert(m.Head.Weight)
	}
}

// bytesPerToken is about how long tokens are in such texts.
func (o *outlined) bytesPerToken(texts []string) float64 {
	if o.words != "" && len(texts) > 0 {
		if t, err := tokenizerAt(o.words); err == nil {
			bytes, tokens := 0, 0
			for _, text := range texts {
				bytes += len(text)
				tokens += len(t.Encode(text, false))
			}
			return float64(max(1, bytes)) / float64(max(1, tokens))
		}
	}
	if o.model.Config.VocabSize < 16_000 {
		return 3
	}
	return 4
}

// tokenizerAt is the tokenizer of a model directory or a GGUF file.
func tokenizerAt(path string) (*tokenizer.Tokenizer, error) {
	if filepath.Ext(path) != ".gguf" {
		return tokenizer.Load(path)
	}
	vocab, err := model.Vocab(path)
	if err != nil {
		return nil, err
	}
	return tokenizer.FromGGUF(vocab)
}

// mergedBytes is how much the matrices take that merging the updates makes, in
// float32, beside those that are stored.
func (o *outlined) mergedBytes() int64 {
	n := 0
	for _, part := range o.model.Linears() {
		if part.LoRA != nil {
			n += compute.F32.MatrixBytes(part.Weight.Out, part.Weight.In)
		}
	}
	if w := o.model.Embed.Weight; o.model.Embed.LoRA != nil {
		n += compute.F32.MatrixBytes(w.Out, w.In)
	}
	if w := o.model.Head.Weight; o.model.Head != o.model.Embed && o.model.Head.LoRA != nil {
		n += compute.F32.MatrixBytes(w.Out, w.In)
	}
	return int64(n)
}

// savedBytes is mergedBytes with the matrices in ggml's blocks, which a model
// directory has in float32.
func (o *outlined) savedBytes() int64 {
	n := o.mergedBytes()
	for _, part := range o.model.Linears() {
		if part.LoRA == nil {
			n += blocksExpanded(part.Weight)
		}
	}
	n += blocksExpanded(o.model.Embed.Weight)
	if o.model.Head != o.model.Embed {
		n += blocksExpanded(o.model.Head.Weight)
	}
	return n
}

// blocksExpanded is the size of w in float32, if it is in blocks.
func blocksExpanded(w *compute.Weight) int64 {
	if w.Format.BlockValues() == 1 {
		return 0
	}
	return int64(compute.F32.MatrixBytes(w.Out, w.In))
}

// tableBytes is how much embedding and head take, as they are stored.
func (o *outlined) tableBytes() int64 {
	m := o.model
	n := m.Embed.Weight.Format.MatrixBytes(m.Embed.Weight.Out, m.Embed.Weight.In)
	if m.Head != m.Embed {
		n += m.Head.Weight.Format.MatrixBytes(m.Head.Weight.Out, m.Head.Weight.In)
	}
	return int64(n)
}
