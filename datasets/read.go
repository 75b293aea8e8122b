package datasets

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// fileRows is what one file gives: its rows by batches, in order.
type fileRows struct {
	path string
	want []wanted
	make func(*candidate) // makes a row's cells an example; many goroutines call it
}

// candidate is a row on its way to become an example.
type candidate struct {
	row    row
	reason Reason // why it cannot; "" if it can
	spooled
	keys                   keys
	prompt, whole          uint64 // keys of the prompt, and of prompt and response
	split                  int    // index of its split
	cutPrompt, cutResponse bool
}

// batch is some rows under way.
type batch struct {
	rows   []candidate
	parser *objectParser
	err    error // of the row after the last
	done   chan struct{}
}

const (
	batchRows  = 512
	batchBytes = 1 << 20 // a batch ends with the row that exceeds it
)

// read calls add with every row of the file, in order. Rows are taken apart and
// made examples by several goroutines, which have ended when it returns.
func (f *fileRows) read(ctx context.Context, add func(*candidate) error) error {
	rows, err := openRows(ctx, f.path, f.want)
	if err != nil {
		return err
	}
	defer rows.Close()
	_, objects := rows.(*parquetRows)
	objects = !objects
	workers := max(1, runtime.GOMAXPROCS(0))
	ctx, cancel := context.WithCancelCause(ctx)
	inOrder, work := make(chan *batch, 2*workers), make(chan *batch, 2*workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		defer close(inOrder)
		defer close(work)
		f.batches(ctx, rows, inOrder, work)
	})
	for range workers {
		wg.Go(func() {
			for b := range work {
				f.prepare(b)
				close(b.done)
			}
		})
	}
	seen := newObjectParser(f.want)
	for b := range inOrder {
		<-b.done
		seen.merge(b.parser)
		for i := range b.rows {
			if err := add(&b.rows[i]); err != nil {
				return err
			}
		}
		if b.err == io.EOF && objects && seen.any() {
			return seen.missing(f.path)
		}
		if b.err != nil && b.err != io.EOF {
			return b.err
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("read %s: %w", f.path, context.Cause(ctx))
	}
	return nil
}

// batches reads the file. It ends with the file, an error or ctx.
func (f *fileRows) batches(ctx context.Context, rows rowReader, inOrder, work chan<- *batch) {
	for end := false; !end; {
		b := &batch{parser: newObjectParser(f.want), done: make(chan struct{})}
		b.rows = make([]candidate, 0, batchRows)
		for size := 0; len(b.rows) < batchRows && size < batchBytes && ctx.Err() == nil; {
			var c candidate
			if b.err = rows.next(&c.row); b.err != nil {
				break
			}
			size += c.row.bytes()
			b.rows = append(b.rows, c)
		}
		end = b.err != nil || ctx.Err() != nil
		select {
		case inOrder <- b:
		case <-ctx.Done():
			return
		}
		work <- b // workers take all, whatever happens
	}
}

// prepare makes the rows of a batch examples. The rows after one that is no
// JSON object are left out.
func (f *fileRows) prepare(b *batch) {
	for i := range b.rows {
		c := &b.rows[i]
		if c.row.raw != nil {
			if err := b.parser.parse(f.path, &c.row); err != nil {
				b.rows, b.err = b.rows[:i], err
				return
			}
		}
		f.make(c)
		c.row.cells = nil
	}
}
