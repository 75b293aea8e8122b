package overlap

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/retort-ml/retort/internal/extsort"
)

// Reader gives the text with an index again, as it was added.
type Reader func(ctx context.Context, index int) (Text, error)

// Find says which texts repeat earlier ones, once all are added. Near
// duplicates are clusters: chains of pairs that reach the threshold. With a
// nil Reader the pairs' similarity is estimated, with the standard error
// sqrt(t(1-t)/k) at the threshold (0.035 by default); with one, candidates
// whose estimate is within three of those are read and compared exactly.
func (f *Finder) Find(ctx context.Context, read Reader) (*Result, error) {
	if f.failed == nil {
		f.failed = f.flush(ctx)
	}
	if f.failed != nil {
		return nil, f.failed
	}
	f.failed = errors.New("the finder was asked already")
	r := &Result{}
	var err error
	if r.prompt, err = firsts(ctx, f.prompt, f.n); err != nil {
		return nil, fmt.Errorf("equal prompts: %w", err)
	}
	if r.whole, err = firsts(ctx, f.whole, f.n); err != nil {
		return nil, fmt.Errorf("equal texts: %w", err)
	}
	if !f.o.ExactOnly {
		if err := f.findNear(ctx, read, r); err != nil {
			return nil, fmt.Errorf("near duplicates: %w", err)
		}
	}
	r.count()
	return r, nil
}

// firsts gives for each of n texts the first with the same hash, and empties
// the sorter.
func firsts(ctx context.Context, s *extsort.Sorter, n int) ([]uint32, error) {
	to := make([]uint32, n)
	var hash [hashBytes]byte
	var first uint32
	some := false
	for rec, err := range s.Sorted(ctx) {
		if err != nil {
			return nil, err
		}
		index := binary.BigEndian.Uint32(rec[hashBytes:])
		if !some || !bytes.Equal(rec[:hashBytes], hash[:]) {
			some, first = true, index
			copy(hash[:], rec)
		}
		to[index] = first
	}
	return to, s.Close()
}
