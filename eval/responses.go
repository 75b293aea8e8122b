package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/retort-ml/retort/datasets"
)

// responseAnswers holds how well a model predicts the references, item by item (n).
type responseAnswers struct {
	bench  *benchmark
	nats   []float64 // minus the log-likelihood, at least 0
	tokens []int
	bytes  []int
}

func newResponseAnswers(b *benchmark) *responseAnswers {
	n := len(b.items)
	return &responseAnswers{bench: b, nats: make([]float64, n), tokens: make([]int, n), bytes: make([]int, n)}
}

func (r *responseAnswers) generatedTokens() int { return 0 }

func (r *responseAnswers) ask(ctx context.Context, s Subject, first int, batch []datasets.Example) error {
	references := make([]string, len(batch))
	for i, item := range batch {
		references[i] = item.Response
	}
	got, err := s.ScoreResponses(ctx, datasets.Questions(batch), references)
	if err != nil {
		return batchError(batch, err)
	}
	if err := wantLength("scores", len(got), len(batch)); err != nil {
		return err
	}
	for i, one := range got {
		if math.IsNaN(one.Nats) || one.Nats > maxPositiveNats {
			return fmt.Errorf("%s: log-likelihood %v of the reference: want a number of at most 0", itemName(batch[i]), one.Nats)
		}
		if one.Tokens < 1 {
			return fmt.Errorf("%s: the reference has %d tokens: want at least 1", itemName(batch[i]), one.Tokens)
		}
		r.nats[first+i], r.tokens[first+i] = max(0, -one.Nats), one.Tokens
		r.bytes[first+i] = len(references[i])
	}
	return nil
}
