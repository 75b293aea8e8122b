package model

import (
	"context"
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// scoreRows bounds the rows of one step when scoring, and logitRows those
// whose logits exist at a time.
const (
	scoreRows = 1024
	logitRows = 256
)

// Scored is what a model makes of a given continuation.
type Scored struct {
	LogProbs []float32   // of each token, in nats
	Top      []TopTokens // per token, when asked for
}

// Score returns the log-probabilities of the tokens of each sequence from index
// from[i] ≥ 1 on, each given all before it, and with topK > 0 the likeliest
// alternatives at each place. What sequences begin with in common is computed once.
func (d *Decoder) Score(ctx context.Context, sequences [][]int32, from []int, topK int) ([]Scored, error) {
	if len(from) != len(sequences) {
		return nil, fmt.Errorf("score %d sequences from %d indices", len(sequences), len(from))
	}
	for i, s := range sequences {
		if from[i] < 1 || from[i] > len(s) {
			return nil, fmt.Errorf("sequence %d: scoring from token %d of %d", i, from[i], len(s))
		}
		if err := d.checkTokens(s, -1); err != nil { // the last is only predicted
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	out := make([]Scored, len(sequences))
	runs, own := make([][]int32, 0, len(sequences)), make([]int, 0, len(sequences))
	var index []int // of each run
	for i, s := range sequences {
		if from[i] < len(s) {
			runs, own, index = append(runs, s[:len(s)-1]), append(own, from[i]-1), append(index, i)
		}
	}
	f := d.newFeed(runs, func(r int) int { return own[r] }, 0)
	var pieces []piece
	for !f.empty() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d.eager.begin()
		pieces = f.fill(pieces[:0], scoreRows, len(runs))
		if err := d.scorePieces(pieces, sequences, from, index, topK, out); err != nil {
			return nil, err
		}
		for _, p := range pieces {
			if p.whole {
				f.end(p.intake)
			}
		}
	}
	return out, nil
}

// scorePieces runs the step and scores the tokens that its rows predict.
func (d *Decoder) scorePieces(pieces []piece, sequences [][]int32, from, index []int, topK int, out []Scored) error {
	h := d.run()
	type target struct{ sequence, token int }
	var targets []target
	var rows []int32
	for _, p := range pieces {
		i := index[p.index]
		for j := max(from[i], p.from+1); j <= p.to; j++ {
			targets = append(targets, target{i, j})
			rows = append(rows, int32(p.row+j-1-p.from))
		}
	}
	return d.eachLogProbs(h, rows, func(n int, logProbs []float32) error {
		t := targets[n]
		if err := finite(logProbs); err != nil {
			return fmt.Errorf("sequence %d: token %d: %w", t.sequence, t.token, err)
		}
		s := &out[t.sequence]
		s.LogProbs = append(s.LogProbs, logProbs[sequences[t.sequence][t.token]])
		if topK > 0 {
			s.Top = append(s.Top, top(logProbs, topK))
		}
		return nil
	})
}

// eachLogProbs calls f with the log-probabilities (V) of each of rows, and its index.
func (d *Decoder) eachLogProbs(h compute.Mat, rows []int32, f func(i int, logProbs []float32) error) error {
	for first := 0; first < len(rows); first += logitRows {
		chunk := rows[first:min(first+logitRows, len(rows))]
		logits := d.Logits(h, chunk)
		d.m.dev.LogSoftmax(logits)
		for i := range chunk {
			if err := f(first+i, d.m.dev.Host(logits.RowRange(i, i+1))); err != nil {
				return err
			}
		}
	}
	return nil
}
