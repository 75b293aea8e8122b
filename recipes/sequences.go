package recipes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ml/retort/datasets"
)

// memoryTokens is how many tokens of a split are kept in memory: 16 MB. More
// are in a token cache in the stage's scratch directory.
const memoryTokens = 1 << 22

// layoutBytes is what a sequence takes while batches are laid out, at most.
const layoutBytes = 24

// sequences are examples in tokens, with the memory that they take.
type sequences struct {
	datasets.Sequences
	bytes int64
}

func inMemory(list []datasets.Sequence) (sequences, error) {
	s, err := datasets.InMemory(list)
	if err != nil {
		return sequences{}, err
	}
	tokens, _ := s.Totals()
	return sequences{s, int64(len(list))*sequenceBytes + 4*tokens}, nil
}

// cached is a token cache, which l closes.
func (l *learner) cached(c *datasets.TokenCache) sequences {
	l.open = append(l.open, c)
	return sequences{c, c.Bytes() + layoutBytes*int64(c.Len())}
}

// examples are the sequences of a split: in memory if they are few.
func (l *learner) examples(ctx context.Context, ref string, f datasets.Format) (sequences, error) {
	d, split, err := dataset(l.work, ref)
	if err != nil {
		return sequences{}, err
	}
	return l.encoded(ctx, ref, d.Examples(split), f)
}

// errMany says that examples are too many for memory.
var errMany = errors.New("too many tokens for memory")

func (l *learner) encoded(ctx context.Context, ref string, examples iter.Seq2[datasets.Example, error], f datasets.Format) (sequences, error) {
	dir := filepath.Join(l.work.Scratch, tokensDir+"-"+ref)
	if _, err := os.Stat(dir); err != nil { // no killed run has begun a cache
		list, err := l.few(ctx, ref, examples, f)
		if err == nil {
			return inMemory(list)
		}
		if !errors.Is(err, errMany) {
			return sequences{}, err
		}
	}
	c, err := datasets.WriteTokens(ctx, dir, l.student.tokenizer, examples, f, l.student.rule(ref), func(n int) {
		l.work.Progress(int64(n), 0, "examples encoded")
	})
	if err != nil {
		return sequences{}, fmt.Errorf("%s: %w", ref, err)
	}
	lostRows(l.work, ref, c.Info.Counts, f.MaxTokens)
	return l.cached(c), nil
}

// few encodes examples into memory, up to memoryTokens.
func (l *learner) few(ctx context.Context, ref string, examples iter.Seq2[datasets.Example, error], f datasets.Format) ([]datasets.Sequence, error) {
	var list []datasets.Sequence
	tokens := 0
	counts, err := datasets.EncodeEach(ctx, l.student.tokenizer, examples, f, func(e *datasets.Encoded) error {
		if e.Lost == nil {
			list = append(list, e.Sequence)
		}
		if tokens += len(e.Tokens); tokens > memoryTokens {
			return errMany
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	lostRows(l.work, ref, counts, f.MaxTokens)
	return list, nil
}

// encode makes sequences of texts in memory, however many they are.
func (l *learner) encode(ref string, list []datasets.Example, f datasets.Format) ([]datasets.Sequence, error) {
	out, counts, err := datasets.Encode(context.Background(), l.student.tokenizer, list, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	lostRows(l.work, ref, counts, f.MaxTokens)
	return out, nil
}

// tokensOf opens the artifact of a tokens stage, and refuses one that was made
// for a student that reads texts otherwise.
func (l *learner) tokensOf(ref string) (sequences, error) {
	c, err := datasets.OpenTokens(l.work.Input(ref))
	if err != nil {
		return sequences{}, err
	}
	want := l.student.rule("")
	var differs []string
	for _, d := range []struct {
		what string
		same bool
	}{
		{"tokenizer", c.Info.Tokenizer == want.Tokenizer},
		{"chat template, system turn, date, variables or special tokens", c.Info.Prompting == l.student.writer.ID()},
		{"beginning and end tokens", c.Info.BOS == l.student.bos && c.Info.EOS == l.student.stop[0]},
	} {
		if !d.same {
			differs = append(differs, d.what)
		}
	}
	s := l.cached(c)
	if len(differs) > 0 {
		return sequences{}, fmt.Errorf("the tokens of %s are of another student: other %s", ref, strings.Join(differs, "; other "))
	}
	return s, nil
}
