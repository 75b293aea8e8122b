package recipes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
)

// previewExamples are the examples that the stage encodes for l. A dataset that is yet
// to be made is made in temporary.
func (r *Recipe) previewExamples(ctx context.Context, made func(string) string, p previewed, l *loaded, temporary string) (iter.Seq2[datasets.Example, error], error) {
	if _, ok := r.find(p.on).(*answersStage); ok {
		dir := made(p.on)
		if dir == "" {
			return nil, fmt.Errorf("the answers are yet to be collected: run their stage first: retort run --target %s", p.on)
		}
		a, err := distill.OpenAnswers(dir)
		if err != nil {
			return nil, err
		}
		texts, err := textsOf(a, l.writer)
		return datasets.Each(texts), err
	}
	name, split, _ := strings.Cut(p.on, ".")
	d, err := r.previewDataset(ctx, made(name), name, temporary)
	if err != nil {
		return nil, err
	}
	if d.Len(split) == 0 {
		return nil, fmt.Errorf("dataset %s has no examples in split %s", name, split)
	}
	return d.Examples(split), nil
}

// previewDataset opens the dataset in dir, or makes it in temporary from the
// recipe's files.
func (r *Recipe) previewDataset(ctx context.Context, dir, name, temporary string) (*datasets.Dataset, error) {
	if dir != "" {
		return datasets.Open(dir)
	}
	s, ok := r.find(name).(*datasetStage)
	if !ok {
		return nil, fmt.Errorf("its prompts are yet to be made: run their stage first: retort run --target %s", name)
	}
	o, err := s.located(r, temporary)
	if err != nil {
		return nil, err
	}
	return datasets.Make(ctx, temporary, o, datasets.Hooks{Scratch: temporary})
}

// reservoir keeps size of the examples that pass: the first ones, or without
// random a choice of them in which each is as likely.
type reservoir struct {
	size     int
	random   *rand.Rand
	seen     int
	examples []datasets.Example
}

func (k *reservoir) watch(examples iter.Seq2[datasets.Example, error]) iter.Seq2[datasets.Example, error] {
	return func(yield func(datasets.Example, error) bool) {
		for e, err := range examples {
			if err == nil {
				k.add(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (k *reservoir) add(e datasets.Example) {
	k.seen++
	if len(k.examples) < k.size {
		k.examples = append(k.examples, e)
	} else if k.random != nil {
		if at := k.random.IntN(k.seen); at < k.size {
			k.examples[at] = e
		}
	}
}

// sizes are sequences of which only the lengths are known: enough to lay them out.
type sizes struct {
	list            []uint32
	tokens, learned int64
}

func (s *sizes) add(q *datasets.Sequence) {
	s.list = append(s.list, uint32(len(q.Tokens)))
	s.tokens += int64(len(q.Tokens))
	s.learned += int64(q.LearnedTokens())
}

func (s *sizes) Len() int               { return len(s.list) }
func (s *sizes) Size(i int) int         { return int(s.list[i]) }
func (s *sizes) Totals() (int64, int64) { return s.tokens, s.learned }
func (s *sizes) Read(int, *datasets.Sequence) error {
	return errors.New("only the lengths of sequences are known")
}
