package overlap

import (
	"context"
	"math"
	"slices"
)

// comparison compares pairs and keeps what it read of the last first text,
// which sorted pairs repeat.
type comparison struct {
	f       *Finder
	read    Reader
	sketchA []byte
	sketchB []byte
	hasA    bool
	a       uint32
	setA    []uint64 // nil: not read
}

func (c *comparison) near(ctx context.Context, a, b uint32) (bool, error) {
	if err := c.sketches(a, b); err != nil {
		return false, err
	}
	t := c.f.o.Threshold
	estimate := agreement(c.sketchA, c.sketchB)
	if c.read == nil {
		return estimate >= t, nil
	}
	if estimate < t-3*math.Sqrt(t*(1-t)/float64(c.f.o.Sketch)) {
		return false, nil
	}
	if c.setA == nil {
		set, err := c.set(ctx, a)
		if err != nil {
			return false, err
		}
		c.setA = set
	}
	setB, err := c.set(ctx, b)
	return err == nil && jaccard(c.setA, setB) >= t, err
}

// sketches reads those of both texts.
func (c *comparison) sketches(a, b uint32) error {
	size := 2 * c.f.o.Sketch
	if c.sketchA == nil {
		c.sketchA, c.sketchB = make([]byte, size), make([]byte, size)
	}
	if !c.hasA || c.a != a {
		if _, err := c.f.file.ReadAt(c.sketchA, int64(a)*int64(size)); err != nil {
			return err
		}
		c.a, c.hasA, c.setA = a, true, nil
	}
	_, err := c.f.file.ReadAt(c.sketchB, int64(b)*int64(size))
	return err
}

// set reads a text's shingles, sorted, each once.
func (c *comparison) set(ctx context.Context, index uint32) ([]uint64, error) {
	text, err := c.read(ctx, int(index))
	if err != nil {
		return nil, err
	}
	set := c.f.o.shingles(nil, text)
	slices.Sort(set)
	return slices.Compact(set), nil
}

// jaccard is the size of the intersection over that of the union; the sets
// are sorted.
func jaccard(a, b []uint64) float64 {
	both := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			both, i, j = both+1, i+1, j+1
		}
	}
	if both == 0 {
		return 0
	}
	return float64(both) / float64(len(a)+len(b)-both)
}
