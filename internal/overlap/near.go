package overlap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/retort-ml/retort/internal/extsort"
)

// window is how many texts before it in a bucket a text is paired with. A
// bucket of window+1 texts or fewer is compared pair by pair. In a larger one,
// say of a million texts with the same boilerplate, the work stays linear:
// texts stand in the order of the rest of their sketches, so equal sets of
// shingles always meet, and those that are near are seldom far from each other
// in every band they share. Such a pair can be lost; Result.LargeBuckets says
// whether there was occasion.
const window = 16

func (f *Finder) findNear(ctx context.Context, read Reader, r *Result) (err error) {
	if err := f.sketch.Flush(); err != nil {
		return err
	}
	first := r.whole
	if f.o.Compare == ComparePrompt {
		first = r.prompt
	}
	pairs, err := extsort.New(f.dir, 8, f.o.Memory/4)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pairs.Close()) }()
	if err := f.pairUp(ctx, first, pairs, r); err != nil {
		return err
	}
	r.near = newForest(f.n)
	if err := f.join(ctx, read, pairs, r.near); err != nil {
		return err
	}
	// A copy is near what its original is near; its original is not news.
	for i, original := range first {
		if int(original) != i {
			if root := r.near.root(original); root != original {
				r.near[i] = root
			}
		}
	}
	return nil
}

// pairUp walks the buckets and collects candidates of different texts.
func (f *Finder) pairUp(ctx context.Context, first []uint32, pairs *extsort.Sorter, r *Result) error {
	var bucket [bucketBytes]byte
	var last [window]uint32
	n := 0 // texts of the bucket so far
	for rec, err := range f.near.Sorted(ctx) {
		if err != nil {
			return err
		}
		index := binary.BigEndian.Uint32(rec[bucketBytes+tailBytes:])
		if first[index] != index {
			continue
		}
		if [bucketBytes]byte(rec) != bucket {
			bucket, n = [bucketBytes]byte(rec), 0
		}
		for _, other := range last[:min(n, window)] {
			if err := addPair(ctx, pairs, other, index); err != nil {
				return err
			}
		}
		last[n%window] = index
		if n++; n == window+2 {
			r.LargeBuckets++
		}
	}
	return f.near.Close()
}

func addPair(ctx context.Context, pairs *extsort.Sorter, a, b uint32) error {
	var rec [8]byte
	binary.BigEndian.PutUint32(rec[:], min(a, b))
	binary.BigEndian.PutUint32(rec[4:], max(a, b))
	return pairs.Add(ctx, rec[:])
}

// join unites the pairs that reach the threshold. Which pairs are skipped
// because they are united already does not change the clusters.
func (f *Finder) join(ctx context.Context, read Reader, pairs *extsort.Sorter, to forest) error {
	c := comparison{f: f, read: read}
	for rec, err := range pairs.Sorted(ctx) {
		if err != nil {
			return err
		}
		a, b := binary.BigEndian.Uint32(rec), binary.BigEndian.Uint32(rec[4:])
		if to.root(a) == to.root(b) {
			continue
		}
		near, err := c.near(ctx, a, b)
		if err != nil {
			return fmt.Errorf("comparing texts %d and %d: %w", a, b, err)
		}
		if near {
			to.unite(a, b)
		}
	}
	return nil
}
