package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/retort-ml/retort/datasets"
)

// maxPositiveNats is how far above zero rounding may lift a log-likelihood.
const maxPositiveNats = 1e-3

// choiceAnswers holds what a model's scores of the labels say, item by item (n).
type choiceAnswers struct {
	bench           *benchmark
	best            []int     // label with the highest log-likelihood, the first among equals
	bestNorm        []int     // the same per byte of the label
	probability     []float64 // of best, by softmax over the labels
	referenceNats   []float64 // log-likelihood of the reference
	referenceTokens []int
	margin          []float64 // referenceNats minus the highest of the other labels
	ties, tiesNorm  int       // items whose best, bestNorm had an equal
}

func newChoiceAnswers(b *benchmark) *choiceAnswers {
	n := len(b.items)
	return &choiceAnswers{
		bench: b, best: make([]int, n), bestNorm: make([]int, n), probability: make([]float64, n),
		referenceNats: make([]float64, n), referenceTokens: make([]int, n), margin: make([]float64, n),
	}
}

func (c *choiceAnswers) generatedTokens() int { return 0 }

func (c *choiceAnswers) ask(ctx context.Context, s Subject, first int, batch []datasets.Example) error {
	nats, tokens, err := s.ScoreChoices(ctx, datasets.Questions(batch), c.bench.labels)
	if err != nil {
		return batchError(batch, err)
	}
	if err := wantLength("rows of scores", len(nats), len(batch)); err != nil {
		return err
	}
	if err := wantLength("token counts", len(tokens), len(c.bench.labels)); err != nil {
		return err
	}
	for k, n := range tokens {
		if n < 1 {
			return fmt.Errorf("choice %.80q has %d tokens: want at least 1", c.bench.labels[k], n)
		}
	}
	for i, row := range nats {
		if err := c.checkRow(row); err != nil {
			return fmt.Errorf("%s: %w", itemName(batch[i]), err)
		}
		c.keep(first+i, row, tokens)
	}
	return nil
}

// checkRow refuses scores that are no log-likelihoods. Minus infinity is one: a choice
// that cannot be said. All choices cannot be that.
func (c *choiceAnswers) checkRow(row []float64) error {
	if err := wantLength("scores", len(row), len(c.bench.labels)); err != nil {
		return err
	}
	possible := false
	for k, nats := range row {
		if math.IsNaN(nats) || nats > maxPositiveNats {
			return fmt.Errorf("choice %.80q: log-likelihood %v: want a number of at most 0", c.bench.labels[k], nats)
		}
		possible = possible || !math.IsInf(nats, -1)
	}
	if !possible {
		return fmt.Errorf("every choice has the log-likelihood −Inf")
	}
	return nil
}

func (c *choiceAnswers) keep(item int, row []float64, tokens []int) {
	perByte := make([]float64, len(row))
	for k, nats := range row {
		perByte[k] = nats / float64(len(c.bench.labels[k]))
	}
	var equals, equalsNorm int
	c.best[item], equals = firstMax(row)
	c.bestNorm[item], equalsNorm = firstMax(perByte)
	c.ties += min(1, equals-1)
	c.tiesNorm += min(1, equalsNorm-1)

	top, sum := row[c.best[item]], 0.0
	for _, nats := range row {
		sum += math.Exp(nats - top)
	}
	c.probability[item] = 1 / sum

	truth, other := c.bench.truth[item], math.Inf(-1)
	for k, nats := range row {
		if k != truth {
			other = max(other, nats)
		}
	}
	c.referenceNats[item], c.referenceTokens[item] = row[truth], tokens[truth]
	c.margin[item] = row[truth] - other
}

// firstMax is the index of the first largest value and how many values equal it.
func firstMax(values []float64) (at, equals int) {
	for k, v := range values {
		switch {
		case v > values[at]:
			at, equals = k, 1
		case v == values[at]:
			equals++
		}
	}
	return at, equals
}

// chosenRight says for each item whether the chosen label is the reference.
func (a *answers) chosenRight(chosen []int) []bool {
	right := make([]bool, len(chosen))
	for i, k := range chosen {
		right[i] = k == a.bench.truth[i]
	}
	return right
}

func (a *answers) labelsOf(chosen []int) []string {
	names := make([]string, len(chosen))
	for i, k := range chosen {
		names[i] = a.bench.labels[k]
	}
	return names
}
