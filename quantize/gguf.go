package quantize

import (
	"fmt"
	"os"

	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// WriteGGUF writes m with its vocabulary to path as a GGUF v3 file, which
// appears complete or not at all, for the families of model.GGUFTensors. The
// same model and options give the same bytes. m must have no low-rank updates
// (merge them first) and no quantized weights; it is read row by row.
//
// The vocabulary must fit the embedding: a shorter one is filled up with unused
// tokens, as converters do. llama.cpp knows the tokenizer of Phi-3 by a name with
// phi-3 or phi3 in it, so a file with that vocabulary gets " (Phi-3)" after
// another name, and one with any other vocabulary must not be named so. A weight
// that is no number, or too large for its format, is an error that names tensor
// and row.
func WriteGGUF(path string, m *model.Model, vocab tokenizer.GGUFVocab, o Options) (Summary, error) {
	s, err := writeGGUF(path, m, vocab, o)
	if err != nil {
		return Summary{}, fmt.Errorf("write GGUF file: %w", err)
	}
	return s, nil
}

func writeGGUF(path string, m *model.Model, vocab tokenizer.GGUFVocab, o Options) (Summary, error) {
	if err := o.Validate(); err != nil {
		return Summary{}, err
	}
	o = o.WithDefaults()
	target, err := o.format()
	if err != nil {
		return Summary{}, err
	}
	if o.Name, err = vocabName(o.Name, vocab); err != nil {
		return Summary{}, err
	}
	p, err := newPlan(m, target, o.Pure)
	if err != nil {
		return Summary{}, err
	}
	tokens, err := vocabMetadata(&m.Config, vocab)
	if err != nil {
		return Summary{}, err
	}
	p.notes = append(p.notes, tokens.notes...)
	meta := append(generalMetadata(m.Config.GGUFArchitecture(), o, target, p), m.Config.GGUFMetadata()...)
	meta = append(meta, tokens.keys...)
	data := make([]gguf.TensorData, len(p.tensors))
	for i, t := range p.tensors {
		data[i] = t.data()
	}
	if err := gguf.WriteFile(path, meta, data); err != nil {
		return Summary{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Summary{}, err
	}
	return summarize(o, p, info.Size()), nil
}
