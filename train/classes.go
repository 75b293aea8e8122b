package train

import (
	"fmt"

	"github.com/retort-ml/retort/datasets"
)

// Classes is a Source of batches for a classifier, made from batches of
// sequences: the first token of each sequence, where an encoder's head reads,
// has the class of its example as target, with weight 1, and no other is learned.
type Classes struct {
	source Source
	labels []int32
}

// NewClasses makes the batches of a source whose examples have these classes,
// by index, of which there are so many. A class outside of those, or an example
// without one, is an error that names it.
func NewClasses(source Source, labels []int32, classes int) (*Classes, error) {
	for i, l := range labels {
		if l < 0 || int(l) >= classes {
			return nil, fmt.Errorf("example %d: class %d of %d", i, l, classes)
		}
	}
	for i := range source.Len(0) {
		b, err := source.At(0, i)
		if err != nil {
			return nil, err
		}
		for _, e := range b.Example {
			if int(e) >= len(labels) {
				return nil, fmt.Errorf("example %d: there are classes for %d", e, len(labels))
			}
		}
	}
	return &Classes{source, labels}, nil
}

// Len is the number of batches of an epoch.
func (c *Classes) Len(epoch int) int { return c.source.Len(epoch) }

// At is batch i of an epoch.
func (c *Classes) At(epoch, i int) (datasets.Batch, error) {
	b, err := c.source.At(epoch, i)
	if err != nil {
		return b, err
	}
	b.Targets, b.Weights = make([]int32, len(b.Tokens)), make([]float32, len(b.Tokens))
	for at := range b.Tokens {
		b.Targets[at] = -1
		if b.Segments[at] != 0 && b.Positions[at] == 0 {
			b.Targets[at], b.Weights[at] = c.labels[b.Example[at]], 1
		}
	}
	return b, nil
}
