package recipes

import (
	"context"
	"errors"
	"fmt"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/internal/memory"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// Measured sizes of what is not arrays.
const (
	processBytes = 40 << 20 // the program, its runtime, and reading examples
	// databaseBytes is what the answer store takes.
	databaseBytes = 8 << 20
	// serverBytes is what requests to a server and their answers take while they are under way.
	serverBytes  = 64 << 20
	tokenBytes   = 400 // of a vocabulary, per token
	exampleBytes = 200 // of an example or a request, beside its text
	// garbagePercent is how much garbage there may be, of what is in use, while
	// models answer and are evaluated.
	garbagePercent = 20
)

// withGarbage is heap bytes in use with the garbage beside them.
func withGarbage(heap int64) int64 { return heap + heap*garbagePercent/100 }

// forecast is a pipeline.Stage's Memory for work that takes so many bytes.
func forecast(need int64, err error) (pipeline.Memory, error) {
	if err != nil {
		return pipeline.Memory{}, err
	}
	m := pipeline.Memory{PeakBytes: need}
	if limit := memory.Limit(); limit > 0 && need > limit {
		m.Fault = tooLarge(need, limit)
	}
	return m, nil
}

func tooLarge(need, limit int64) string {
	return fmt.Sprintf("takes about %s of memory, the machine has %s for it", bytesize.Size(need), bytesize.Size(limit))
}

// memory forecasts training: loading, the run, and saving what came of it.
func (s *trainStage) memory(ctx context.Context, r *Recipe, made madeDir) (pipeline.Memory, error) {
	o, err := s.outlineStudent(r, made)
	if err != nil {
		return pipeline.Memory{}, err
	}
	need, err := s.need(ctx, r, made, o)
	if err != nil {
		return pipeline.Memory{}, err
	}
	// What the plan of a run cannot see: the tokenizer, and copies of a file's matrices.
	limit := s.Limit()
	need.DataBytes += o.beside()
	loading, err := s.loadingBytes(r, made)
	if err != nil {
		return pipeline.Memory{}, err
	}
	m, err := need.Memory(limit)
	var small *train.MemoryError
	if errors.As(err, &small) {
		return pipeline.Memory{PeakBytes: small.Least, Fault: small.Error() + s.fitting(need, limit)}, nil
	}
	if err != nil {
		return pipeline.Memory{}, err
	}
	m.Peak = max(m.Peak, loading)
	if s.Merge {
		merged, err := s.tuned(r, made)
		if err != nil {
			return pipeline.Memory{}, err
		}
		m.Peak = max(m.Peak, processBytes+merged.bytes()+merged.savedBytes())
	}
	return pipeline.Memory{PeakBytes: m.Peak}, nil
}

// loadingBytes is the peak while a student that has an adapter is merged, and
// then stored as Base says; 0 of others.
func (s *trainStage) loadingBytes(r *Recipe, made madeDir) (int64, error) {
	if s.New != nil {
		return 0, nil
	}
	o, err := r.outline(made, s.Student)
	if err != nil || o.model.LoRA == nil {
		return 0, err
	}
	n := processBytes + o.bytes() + o.mergedBytes()
	if s.Base != "" {
		if err := o.model.Merge(); err != nil {
			return 0, err
		}
		if err := s.freeze(o.model); err != nil {
			return 0, err
		}
		n += int64(o.model.Bytes()) - o.tableBytes()
	}
	return n, nil
}

// need is what decides about the run's memory.
func (s *trainStage) need(ctx context.Context, r *Recipe, made madeDir, o *outlined) (train.Need, error) {
	need := train.Need{Student: o.model, Rows: s.rows() * s.length(), Options: s.Options.WithDefaults()}
	for _, ref := range []string{s.On, s.Valid} {
		if ref == "" {
			continue
		}
		t, err := r.texts(ctx, made, ref)
		if err != nil {
			return need, err
		}
		need.DataBytes += r.dataBytes(ref, t, o)
		if a, ok := r.find(ref).(*answersStage); ok && s.Distill != nil && s.OnPolicy == nil {
			need.DataBytes += min(int64(a.TopK)*4*t.answerTokens(o, a.MaxTokens), distill.TopMemory)
		}
	}
	if s.Valid != "" {
		need.ValidRows = need.Rows
	}
	if s.OnPolicy != nil {
		t, err := r.outline(made, s.OnPolicy.Teacher)
		if err != nil {
			return need, err
		}
		need.DataBytes += t.beside() + s.onPolicyBytes(t.model, o.model)
	}
	return need, nil
}

// dataBytes is the memory of what is learned, in tokens.
func (r *Recipe) dataBytes(ref string, t texts, o *outlined) int64 {
	switch r.find(ref).(type) {
	case *answersStage:
		return t.sequenceBytes(o)
	case *tokensStage:
		return t.cachedBytes()
	}
	if t.tokens(t.promptBytes+t.responseBytes, o) > memoryTokens {
		return t.cachedBytes()
	}
	return t.sequenceBytes(o)
}

// fitting says what would fit into the limit where need does not.
func (s *trainStage) fitting(need train.Need, limit int64) string {
	length := s.length()
	fits := func(rows int) bool {
		need.Rows = rows * length
		if need.ValidRows > 0 {
			need.ValidRows = need.Rows
		}
		_, err := need.Memory(limit)
		return err == nil
	}
	low, high := 0, s.rows() // the most rows that fit are in low ≤ rows < high
	for high-low > 1 {
		if middle := (low + high) / 2; fits(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	switch {
	case low > 0:
		return fmt.Sprintf("; batch.rows: %d would fit (accumulate: %d then makes steps as large)", low, (s.rows()*orElse(s.Accumulate, 1)+low-1)/low)
	case s.LoRA == nil:
		return "; not even one row fits: try lora, a shorter batch.length or a smaller model"
	case s.Base == "":
		return "; not even one row fits: try base: nf4, a shorter batch.length or a smaller student"
	}
	return "; not even one row fits: try a shorter batch.length or a smaller student"
}

// memory forecasts answering.
func (s *answersStage) memory(ctx context.Context, r *Recipe, made madeDir) (pipeline.Memory, error) {
	if m, ok := r.Models[s.Teacher]; ok && !m.hasWeights() {
		return forecast(processBytes+databaseBytes+serverBytes, nil)
	}
	o, err := r.outline(made, s.Teacher)
	if err != nil {
		return pipeline.Memory{}, err
	}
	t, err := r.texts(ctx, made, s.From)
	if err != nil {
		return pipeline.Memory{}, err
	}
	stored := processBytes + databaseBytes + int64(o.model.Bytes())
	heap := o.beside() + int64(o.model.GeneratingBytes()) + t.heldBytes() + min(t.answerTokens(o, s.MaxTokens)*int64(8*s.TopK+16), distill.WriteMemory)
	with := func(batch int) int64 {
		batch = min(batch, max(1, t.examples))
		return stored + withGarbage(heap+int64(o.model.GenerateBytes(t.examples, batch, t.promptTokens(o), orElse(s.MaxTokens, 256))))
	}
	batch := orElse(s.Batch, 32)
	return advised(with, batch, "batch")
}

// advised forecasts work in batches, and says which would fit.
func advised(with func(batch int) int64, batch int, key string) (pipeline.Memory, error) {
	m, err := forecast(with(batch), nil)
	if m.Fault == "" {
		return m, err
	}
	limit := memory.Limit()
	fit := batch
	for fit > 0 && with(fit) > limit {
		fit /= 2
	}
	if fit > 0 {
		m.Fault += fmt.Sprintf("; %s: %d would fit", key, fit)
	} else {
		m.Fault += "; a smaller or quantized model might fit"
	}
	return m, err
}

// memory forecasts quantizing: the weights, merged if there is an adapter.
func (s *quantizeStage) memory(_ context.Context, r *Recipe, made madeDir) (pipeline.Memory, error) {
	o, err := r.outline(made, s.Model)
	if err != nil {
		return pipeline.Memory{}, err
	}
	need := processBytes + o.bytes() + int64(o.model.Config.VocabSize)*tokenBytes
	if o.model.LoRA != nil {
		// Embedding and head are read after the others were given back.
		tables := o.tableBytes()
		need += o.mergedBytes() - min(tables, int64(o.model.Bytes())-tables)
	}
	return forecast(need, nil)
}

// memory forecasts evaluating: all models are there at once.
func (s *evalStage) memory(ctx context.Context, r *Recipe, made madeDir) (pipeline.Memory, error) {
	t, err := r.texts(ctx, made, s.On)
	if err != nil {
		return pipeline.Memory{}, err
	}
	batch := orElse(s.Options.Batch, 32)
	held := t.heldBytes()
	var models []*outlined
	others := int64(0) // classifiers and servers
	for _, ref := range s.Models {
		if n, ok := r.classifierBytes(ref); ok {
			others += n
			continue
		}
		if m, ok := r.Models[ref]; ok && !m.hasWeights() {
			others += serverBytes
			continue
		}
		o, err := r.outline(made, ref)
		if err != nil {
			return pipeline.Memory{}, err
		}
		models = append(models, o)
	}
	with := func(batch int) int64 {
		stored, heap := processBytes+others, held
		for _, o := range models {
			stored += int64(o.model.Bytes())
			heap += o.beside() + s.askBytes(o, t, batch)
		}
		return stored + withGarbage(heap)
	}
	if s.Baseline {
		b, err := r.texts(ctx, made, s.Train)
		if err != nil {
			return pipeline.Memory{}, err
		}
		held += b.heldBytes() + b.featureBytes()
	}
	return advised(with, batch, "batch")
}

// askBytes is what a model takes besides its weights while it is asked.
func (s *evalStage) askBytes(o *outlined, t texts, batch int) int64 {
	m, prompt, n := o.model, t.promptTokens(o), 0
	if t.examples > 0 {
		batch = min(batch, t.examples)
	}
	scores, generates := eval.Asks(s.Metrics)
	if scores {
		// Every label is a branch of every prompt, but for its last token.
		response := t.responseTokens(o)
		n = m.ScoreBytes(batch*(prompt+max(1, t.labels)*(response-1)), batch, prompt+response)
	}
	if generates {
		n = max(n, m.GenerateBytes(batch, batch, prompt, orElse(s.MaxNewTokens, 256))) + m.GeneratingBytes()
	}
	return int64(n)
}

// rows is how many rows a batch has.
func (s *trainStage) rows() int { return orElse(s.Batch.Rows, 8) }
