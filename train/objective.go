package train

import (
	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// Objective turns a batch into a loss of the student's logits.
//
// RowLoss returns the weighted SUM of the losses, in nats, of the supervised
// rows (indices of b's B·T positions, ascending). Run divides by the weights
// of the whole step, so cutting a step into micro-batches never changes its
// gradient.
type Objective interface {
	RowLoss(b datasets.Batch, rows []int32) (autodiff.RowLoss, error)
}

// CrossEntropy is the objective of the batch's own target tokens.
type CrossEntropy struct{}

// RowLoss is −weight·log p(target), summed.
func (CrossEntropy) RowLoss(b datasets.Batch, rows []int32) (autodiff.RowLoss, error) {
	targets, weights := make([]int32, len(rows)), make([]float32, len(rows))
	for i, r := range rows {
		targets[i], weights[i] = b.Targets[r], b.Weights[r]
	}
	losses := make([]float64, len(rows))
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		dev.CrossEntropy(logits, targets[from:to], weights[from:to], losses[from:to])
		sum := 0.0
		for i := from; i < to; i++ {
			sum += float64(weights[i]) * losses[i]
		}
		return sum, nil
	}, nil
}
