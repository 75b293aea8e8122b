package bench

import (
	"context"
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

// seed is of every random number: each measurement is of the same model and tokens.
const seed = 1

// Stored is how much memory a model's matrices take, by format, in bytes.
type Stored map[string]int

// build makes a model of random weights, each matrix straight in its format:
// there is no float32 copy, as peak memory is measured.
func build(ctx context.Context, dev compute.Device, c model.Config, l layout) (*model.Model, Stored, error) {
	stored := Stored{}
	m, err := model.Assemble(dev, c, func(name string, out, in int) (*compute.Weight, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, err := parseMatrix(name, out, in)
		if err != nil {
			return nil, err
		}
		w, err := l.format(x).weight(out, in, random.Stream(seed, "bench "+name))
		if err == nil {
			stored[w.Format.String()] += w.Bytes()
		}
		return w, err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("random weights: %w", err)
	}
	return m, stored, nil
}

// randomTokens are n token ids of the vocabulary.
func randomTokens(c *model.Config, purpose string, n int) []int32 {
	rng := random.Stream(seed, "bench "+purpose)
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(c.VocabSize))
	}
	return ids
}
