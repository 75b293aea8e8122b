package recipes

import (
	"context"
	"errors"
	"iter"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/tokenizer"
)

func (p previewed) preview(ctx context.Context, l *loaded, examples iter.Seq2[datasets.Example, error], o PreviewOptions, seed uint64) (*Preview, error) {
	learning := p.learning
	learning.NothingLearned = datasets.DropUnlearned
	f := learning.format(l, p.length, p.promptsOnly)
	out := &Preview{Stage: p.stage, On: p.on, Student: p.student, Tokenizer: l.tokenizer.Hash(), ChatTemplate: l.promptingRecord().ChatTemplate, Policy: p.policy()}
	kept := &reservoir{size: o.Rows}
	if o.Seed != nil {
		kept.random = random.Stream(*o.Seed, "preview")
	}
	sizes, lengths := &sizes{}, &datasets.LengthCounts{}
	var err error
	out.Counts, err = datasets.EncodeEach(ctx, l.tokenizer, kept.watch(examples), f, func(e *datasets.Encoded) error {
		if e.Lost == nil {
			lengths.Add(len(e.Tokens), e.PromptLen, p.learned(e))
			sizes.add(&e.Sequence)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Statistics = lengths.Statistics()
	if p.train != nil && sizes.Len() > 0 {
		if out.Packing, err = p.packing(sizes, seed); err != nil {
			return nil, err
		}
	}
	out.Examples, err = p.shown(ctx, l.tokenizer, kept.examples, f)
	return out, err
}

func (p previewed) policy() PreviewPolicy {
	o := PreviewPolicy{Learn: orElse(string(p.learning.Learn), learnValues[0]), TooLong: orElse(p.learning.TooLong, tooLongValues[0]),
		NothingLearned: orElse(p.learning.NothingLearned, nothingLearnedValues[0]), Length: p.length, Weights: map[string]float64{"learned": 1, "other": 0}}
	if p.promptsOnly {
		o.Learn = "prompts"
	} else if p.train != nil {
		o.Weights["other"] = p.train.PromptWeight
	}
	return o
}

// learned is how many tokens of a sequence are learned.
func (p previewed) learned(e *datasets.Encoded) int {
	if p.promptsOnly {
		return len(e.Tokens) - 1
	}
	return e.LearnedTokens()
}

func (p previewed) packing(s *sizes, seed uint64) (*PreviewPacking, error) {
	o := p.train.batches(true, seed)
	b, err := datasets.NewBatchesOf(s, o)
	if errors.Is(err, datasets.ErrNoTokens) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n, accumulate := b.Len(0), orElse(p.train.Accumulate, 1)
	return &PreviewPacking{Rows: o.Rows, Length: o.Length, Fill: b.Fill(0), Batches: n, Steps: (n + accumulate - 1) / accumulate}, nil
}

// shown encodes the chosen examples again, for people; those that give no
// sequence are in the counts.
func (p previewed) shown(ctx context.Context, t *tokenizer.Tokenizer, examples []datasets.Example, f datasets.Format) ([]PreviewExample, error) {
	list := []PreviewExample{}
	at := 0
	_, err := datasets.EncodeEach(ctx, t, datasets.Each(examples), f, func(e *datasets.Encoded) error {
		x := &examples[at]
		if at++; e.Lost == nil {
			list = append(list, PreviewExample{ID: x.ID, File: x.File, Row: x.Row, Tokens: len(e.Tokens), Prompt: e.PromptLen,
				Learned: p.learned(e), Cut: e.Cut, Parts: p.parts(t, &e.Sequence)})
		}
		return nil
	})
	return list, err
}

// parts cuts a sequence where what is learned begins and ends.
func (p previewed) parts(t *tokenizer.Tokenizer, s *datasets.Sequence) []PreviewPart {
	var list []PreviewPart
	stream := t.NewStream(false)
	for at, id := range s.Tokens {
		learned := s.Learns(at) || p.promptsOnly && at > 0
		if len(list) == 0 || list[len(list)-1].Learned != learned {
			if len(list) > 0 {
				list[len(list)-1].Text += stream.Flush()
			}
			list = append(list, PreviewPart{Learned: learned})
		}
		part := &list[len(list)-1]
		part.IDs = append(part.IDs, id)
		part.Text += stream.Next(id)
	}
	if len(list) > 0 {
		list[len(list)-1].Text += stream.Flush()
	}
	return list
}
