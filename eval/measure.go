package eval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/retort-ml/retort/datasets"
)

// answers is all that one model said about the items. A part is nil when no metric needs
// it or the model does not offer it.
type answers struct {
	bench     *benchmark
	choices   *choiceAnswers
	generated *generatedAnswers
	responses *responseAnswers
	missing   map[pass]string // why a part that is needed is nil
	timing    ModelTiming
}

// asker puts one batch of a pass to a Subject and keeps the answers; first is the
// position of the batch's first item.
type asker interface {
	ask(ctx context.Context, s Subject, first int, batch []datasets.Example) error
	generatedTokens() int
}

// measure puts every needed pass to one model. tick is called with the number of items
// done, after each batch.
func (b *benchmark) measure(ctx context.Context, s NamedSubject, tick func(items int)) (*answers, error) {
	a := &answers{bench: b, missing: map[pass]string{}, timing: ModelTiming{Name: s.Name}}
	prompts, err := b.countPromptTokens(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: count tokens: %w", s.Name, err)
	}
	for _, p := range b.passes() {
		keeper := a.start(p)
		seconds, err := b.run(ctx, s.Subject, keeper, tick)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			a.missing[p] = err.Error()
			a.drop(p)
		case err != nil:
			return nil, fmt.Errorf("evaluate %s: %s: %w", s.Name, p, err)
		default:
			a.timing.add(p, seconds, len(b.items), prompts, keeper.generatedTokens())
		}
	}
	return a, nil
}

// passes are the ways of asking that the metrics need.
func (b *benchmark) passes() []pass {
	var needed []pass
	for _, p := range []pass{passChoices, passGenerate, passResponses} {
		if b.needs(p) {
			needed = append(needed, p)
		}
	}
	return needed
}

// start makes the part of the answers that a pass fills.
func (a *answers) start(p pass) asker {
	switch p {
	case passChoices:
		a.choices = newChoiceAnswers(a.bench)
		return a.choices
	case passGenerate:
		a.generated = newGeneratedAnswers(a.bench)
		return a.generated
	default:
		a.responses = newResponseAnswers(a.bench)
		return a.responses
	}
}

// drop forgets the part of a pass that a model turned out not to offer.
func (a *answers) drop(p pass) {
	switch p {
	case passChoices:
		a.choices = nil
	case passGenerate:
		a.generated = nil
	default:
		a.responses = nil
	}
}

// run asks about all items in batches and returns the seconds spent in the Subject.
func (b *benchmark) run(ctx context.Context, s Subject, keeper asker, tick func(int)) (seconds float64, err error) {
	started := time.Now()
	for first := 0; first < len(b.items); first += b.o.Batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		batch := b.items[first:min(first+b.o.Batch, len(b.items))]
		if err := keeper.ask(ctx, s, first, batch); err != nil {
			// What is left of the pass will not be asked, so progress counts it as done.
			if errors.Is(err, errors.ErrUnsupported) {
				tick(len(b.items) - first)
			}
			return 0, err
		}
		tick(len(batch))
	}
	return time.Since(started).Seconds(), nil
}

// countPromptTokens is the number of tokens of all prompts, 0 when the model cannot say.
func (b *benchmark) countPromptTokens(ctx context.Context, s NamedSubject) (int, error) {
	total := 0
	for first := 0; first < len(b.items); first += b.o.Batch {
		batch := b.items[first:min(first+b.o.Batch, len(b.items))]
		counts, err := s.Subject.CountTokens(ctx, datasets.Questions(batch))
		if errors.Is(err, errors.ErrUnsupported) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if err := wantLength("token counts", len(counts), len(batch)); err != nil {
			return 0, err
		}
		for i, n := range counts {
			if n < 0 {
				return 0, fmt.Errorf("%s: %d tokens", itemName(batch[i]), n)
			}
			total += n
		}
	}
	return total, nil
}

func wantLength(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("the model returned %d %s for %d", got, what, want)
	}
	return nil
}

// batchError says at which item a Subject failed. That it does not offer the call at all
// has nothing to do with the item.
func batchError(batch []datasets.Example, err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return fmt.Errorf("from %s: %w", itemName(batch[0]), err)
}
