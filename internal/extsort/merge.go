package extsort

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
)

// checkEvery is how many records pass between looks at the context.
const checkEvery = 4096

// maxFanIn keeps the reads of a merge long: 64 MB over it is 256 kB a run.
const maxFanIn = 256

// fanIn is how many runs are merged at once: each has minMemory/2 or more.
func (s *Sorter) fanIn() int {
	return max(2, min(maxFanIn, s.memory/max(minMemory/2, s.size)))
}

// cursor stands on one record of a run.
type cursor struct {
	record []byte
	r      *bufio.Reader
	left   int64 // bytes of the run after record
}

func (c *cursor) next() error {
	if c.left == 0 {
		return io.EOF
	}
	_, err := io.ReadFull(c.r, c.record)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.left -= int64(len(c.record))
	return err
}

// cursors is a heap with the least record first.
type cursors []*cursor

func (h cursors) Len() int           { return len(h) }
func (h cursors) Less(i, j int) bool { return bytes.Compare(h[i].record, h[j].record) < 0 }
func (h cursors) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *cursors) Push(c any)        { *h = append(*h, c.(*cursor)) }
func (h *cursors) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// merge gives the runs' records in order until use returns false.
func (s *Sorter) merge(ctx context.Context, runs []run, use func([]byte) bool) error {
	h := make(cursors, 0, len(runs))
	for _, run := range runs {
		section := io.NewSectionReader(s.file, run.from, run.bytes)
		c := &cursor{make([]byte, s.size), bufio.NewReaderSize(section, s.memory/len(runs)), run.bytes}
		if err := c.next(); err != nil {
			return fmt.Errorf("reading %s: %w", s.file.Name(), err)
		}
		h = append(h, c)
	}
	heap.Init(&h)
	for n := 0; len(h) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !use(h[0].record) {
			return nil
		}
		if err := h[0].next(); err == nil {
			heap.Fix(&h, 0)
		} else if errors.Is(err, io.EOF) {
			heap.Pop(&h)
		} else {
			return fmt.Errorf("reading %s: %w", s.file.Name(), err)
		}
	}
	return nil
}
