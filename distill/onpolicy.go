package distill

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

// OnPolicyOptions say how a student learns from its own answers. The zero value
// of a field is its default.
type OnPolicyOptions struct {
	// Share is the share of the answers that the student writes itself, 0 to 1; of
	// the others the teacher scores the given ones. Nil means 1.
	Share     *float64       `yaml:"share"`
	TopK      int            `yaml:"top_k"`      // the teacher's likeliest tokens per place; 0 means 64
	MaxTokens int            `yaml:"max_tokens"` // longest answer of the student; 0 means 128
	Batch     int            `yaml:"batch"`      // answers under way at a time; 0 means 32
	Sampling  model.Sampling `yaml:",inline"`    // of the student; at temperature 0, the default, it is greedy
}

// WithDefaults fills in what is not set.
func (o OnPolicyOptions) WithDefaults() OnPolicyOptions {
	if o.Share == nil {
		o.Share = new(1.0)
	}
	if o.TopK == 0 {
		o.TopK = 64
	}
	if o.MaxTokens == 0 {
		o.MaxTokens = 128
	}
	return o
}

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (o OnPolicyOptions) Validate() error {
	var faults []error
	if o.Share != nil && !(*o.Share >= 0 && *o.Share <= 1) {
		faults = append(faults, fmt.Errorf("share: %v: want a number from 0 to 1", *o.Share))
	}
	for _, n := range []struct {
		key         string
		value, most int
	}{{"top_k", o.TopK, maxTopK}, {"max_tokens", o.MaxTokens, 1 << 20}, {"batch", o.Batch, 1 << 16}} {
		if n.value < 0 || n.value > n.most {
			faults = append(faults, fmt.Errorf("%s: %d: want a whole number from 0 to %d", n.key, n.value, n.most))
		}
	}
	return errors.Join(append(faults, o.Sampling.Validate())...)
}

// OnPolicy writes batches anew just before the step that learns them: the
// student answers, and the teacher says how likely it finds the tokens of every
// answer (Agarwal et al. 2024, "On-Policy Distillation of Language Models",
// Algorithm 1, but that each answer is drawn for itself, not the whole batch).
// What the student would do in use is what it is corrected on. It is for one
// goroutine.
type OnPolicy struct {
	student, teacher *model.Decoder
	stop             []int32
	options          OnPolicyOptions
	distill          Options
}

// NewOnPolicy prepares batches for student, whose weights may change between
// calls of Write; teacher's may not. Their vocabularies are one; stop are the
// tokens that end an answer.
func NewOnPolicy(student, teacher *model.Model, stop []int32, o OnPolicyOptions, d Options) (*OnPolicy, error) {
	if err := errors.Join(o.Validate(), d.Validate()); err != nil {
		return nil, err
	}
	o = o.WithDefaults()
	if s, t := student.Config.VocabSize, teacher.Config.VocabSize; o.TopK > min(s, t) {
		return nil, fmt.Errorf("top_k: %d: the student's vocabulary has %d tokens, the teacher's %d", o.TopK, s, t)
	}
	if len(stop) == 0 {
		return nil, errors.New("on-policy distillation: no token ends an answer")
	}
	return &OnPolicy{student: model.NewDecoder(student), teacher: model.NewDecoder(teacher), stop: stop, options: o, distill: d}, nil
}

// turn is one example of a batch: the positions [from, answer) hold its prompt,
// [answer, to) what is there for its answer.
type turn struct {
	from, answer, to int
	weight           float32 // of an answer's token
	tokens           []int32 // the answer
}

// Write returns b with the student's answers, each cut to the places that its
// example has in b, and the objective of the teacher's probabilities of them. The
// draws follow from key alone. What of an answer's places is not needed is
// padding then, as are places of weight 0 behind a given answer.
func (p *OnPolicy) Write(ctx context.Context, b datasets.Batch, key uint64) (datasets.Batch, *Objective, error) {
	b = copyBatch(b)
	turns := turnsOf(&b)
	if err := p.answer(ctx, &b, turns, key); err != nil {
		return b, nil, fmt.Errorf("on-policy distillation: student: %w", err)
	}
	table, err := p.score(ctx, &b, turns)
	if err != nil {
		return b, nil, fmt.Errorf("on-policy distillation: teacher: %w", err)
	}
	objective, err := NewObjective(p.distill, table)
	return b, objective, err
}

// answer fills in the student's answers to the turns that are drawn for it.
func (p *OnPolicy) answer(ctx context.Context, b *datasets.Batch, turns []turn, key uint64) error {
	p.student.Refresh()
	var prompts [][]int32
	var seeds []uint64
	var drawn []int
	for i, t := range turns {
		seed := random.Key(key, fmt.Sprintf("answer %d of example %d", i, b.Example[t.from]))
		if random.Stream(seed, "on-policy").Float64() < *p.options.Share {
			drawn, seeds = append(drawn, i), append(seeds, seed)
			prompts = append(prompts, slices.Clone(b.Tokens[t.from:t.answer]))
		}
	}
	o := model.GenerateOptions{Sampling: p.options.Sampling, MaxTokens: p.options.MaxTokens, Stop: p.stop, Batch: p.options.Batch, Seeds: seeds}
	err := p.student.Generate(ctx, prompts, o, func(j int, a model.Answer) error {
		t := &turns[drawn[j]]
		t.tokens = a.Tokens[:min(len(a.Tokens), t.to-t.answer)]
		return nil
	})
	for i := range turns {
		turns[i].write(b, i)
	}
	return err
}

// score is the teacher's probabilities of the answers, by turn.
func (p *OnPolicy) score(ctx context.Context, b *datasets.Batch, turns []turn) (*TopTable, error) {
	sequences, from := make([][]int32, len(turns)), make([]int, len(turns))
	for i, t := range turns {
		sequences[i], from[i] = b.Tokens[t.from:t.answer+len(t.tokens)], t.answer-t.from
	}
	scored, err := p.teacher.Score(ctx, sequences, from, p.options.TopK)
	if err != nil {
		return nil, err
	}
	table := NewTopTable(p.options.TopK)
	for i := range scored {
		if err := table.Append(scored[i].Top); err != nil {
			return nil, fmt.Errorf("answer %d of the batch: %w", i, err)
		}
	}
	return table, nil
}

// turnsOf finds the examples of b that have an answer, with the answers that
// are given: those places before which nothing is learned are none of them.
func turnsOf(b *datasets.Batch) []turn {
	var turns []turn
	for at := 0; at < len(b.Tokens); {
		to := at + 1
		for to%b.T != 0 && b.Segments[to] == b.Segments[at] {
			to++
		}
		if t := (turn{from: at, to: to}); b.Segments[at] != 0 && t.find(b) {
			turns = append(turns, t)
		}
		at = to
	}
	return turns
}

// find sets where t's answer begins, and its tokens.
func (t *turn) find(b *datasets.Batch) bool {
	for at := t.from; at < t.to; at++ {
		if b.Offset[at] < 0 {
			continue
		}
		if t.answer == 0 {
			t.answer, t.weight = at+1, b.Weights[at]
		}
		if b.Weights[at] != 0 {
			t.tokens = b.Tokens[t.answer : at+2]
		}
	}
	t.tokens = slices.Clone(t.tokens)
	return len(t.tokens) > 0
}

// write puts t's answer into b as that of example i, and padding behind it.
func (t *turn) write(b *datasets.Batch, i int) {
	for at := t.from; at < t.to; at++ {
		j := at + 1 - t.answer // of the answer, the place of at's target
		switch {
		case at >= t.answer+len(t.tokens):
			b.Tokens[at], b.Positions[at], b.Segments[at], b.Example[at] = 0, 0, 0, -1
		default:
			b.Example[at] = int32(i)
			if at >= t.answer {
				b.Tokens[at] = t.tokens[at-t.answer]
			}
		}
		if j < 0 {
			continue
		}
		b.Targets[at], b.Weights[at], b.Offset[at] = -1, 0, -1
		if j < len(t.tokens) {
			b.Targets[at], b.Weights[at], b.Offset[at] = t.tokens[j], t.weight, int32(j)
		}
	}
}

func copyBatch(b datasets.Batch) datasets.Batch {
	for _, list := range []*[]int32{&b.Tokens, &b.Targets, &b.Positions, &b.Segments, &b.Example, &b.Offset} {
		*list = slices.Clone(*list)
	}
	b.Weights = slices.Clone(b.Weights)
	return b
}
