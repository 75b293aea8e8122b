package train

import (
	"errors"
	"fmt"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
)

// ErrNoTokens is wrapped by the error of a step that has nothing to learn.
var ErrNoTokens = errors.New("no supervised tokens")

// lossGraph computes losses of data's batches; shorter ones than the first are
// padded, so that one graph serves all.
type lossGraph struct {
	graph *autodiff.Graph
	rows  int
	data  Data
}

func newLossGraph(student Student, data Data, train bool, dropout float64) (*lossGraph, error) {
	if data.Source.Len(0) == 0 {
		return nil, fmt.Errorf("no batches: %w", ErrNoTokens)
	}
	first, err := data.Source.At(0, 0)
	if err != nil {
		return nil, err
	}
	rows := first.B * first.T
	g, err := student.Graph(rows, train, float32(dropout))
	if err != nil {
		return nil, err
	}
	return &lossGraph{g, rows, data}, nil
}

// run returns the summed loss of b in nats and the sum of its weights; in
// training it adds to the student's gradients.
func (l *lossGraph) run(b datasets.Batch, objective Objective, dropoutKey uint64) (sum, weight float64, err error) {
	in := inputs(b, l.rows)
	for _, r := range in.Rows {
		weight += float64(b.Weights[r])
	}
	if in.Loss, err = objective.RowLoss(b, in.Rows); err != nil {
		return 0, 0, err
	}
	in.DropoutKey = dropoutKey
	sum, err = l.graph.Run(in)
	return sum, weight, err
}

// inputs lays b out as rows of a graph, padded to n.
func inputs(b datasets.Batch, n int) autodiff.Inputs {
	in := autodiff.Inputs{
		Tokens: make([]int32, n), Positions: make([]int32, n), From: make([]int32, n),
		To: make([]int32, n), Types: make([]int32, n),
	}
	for i := range n {
		if i >= len(b.Tokens) || b.Segments[i] == 0 {
			in.Tokens[i], in.From[i] = -1, int32(i)
			continue
		}
		in.Tokens[i], in.Positions[i] = b.Tokens[i], b.Positions[i]
		in.From[i] = int32(i)
		if i%b.T > 0 && b.Segments[i-1] == b.Segments[i] {
			in.From[i] = in.From[i-1]
		}
		if b.Targets[i] >= 0 && b.Weights[i] != 0 {
			in.Rows = append(in.Rows, int32(i))
		}
	}
	for i := n - 1; i >= 0; i-- { // a segment ends where the next row's begins
		in.To[i] = int32(i + 1)
		if i+1 < n && in.From[i+1] == in.From[i] {
			in.To[i] = in.To[i+1]
		}
	}
	return in
}

// evaluate is the mean loss per weighted token over the data's first epoch.
func (l *lossGraph) evaluate() (float64, error) {
	var sum, weight float64
	for i := range l.data.Source.Len(0) {
		b, err := l.data.Source.At(0, i)
		if err != nil {
			return 0, fmt.Errorf("validation: %w", err)
		}
		s, w, err := l.run(b, l.data.Objective, 0)
		if err != nil {
			return 0, fmt.Errorf("validation batch %d: %w", i, err)
		}
		sum, weight = sum+s, weight+w
	}
	if weight == 0 {
		return 0, fmt.Errorf("validation: %w", ErrNoTokens)
	}
	return sum / weight, nil
}
