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
	cells  []cell // of all rows
	parser *objectParser
	err    error // of the row after the last
	done   chan struct{}
	share  int // of the room for batches
}

const (
	batchRows  = 512
	batchBytes = 1 << 20 // a batch ends with the row that exceeds it
	batchRoom  = 8       // what batches under way share, each as much as it is times as large as it should be
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
	inOrder, work := make(chan *batch, batchRoom), make(chan *batch, batchRoom)
	room, used := make(chan struct{}, batchRoom), make(chan *batch, batchRoom)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		defer close(inOrder)
		defer close(work)
		f.batches(ctx, rows, room, used, inOrder, work)
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
		for range b.share {
			<-room
		}
		if b.err == io.EOF && objects && seen.any() {
			return seen.missing(f.path)
		}
		if b.err != nil && b.err != io.EOF {
			return b.err
		}
		select {
		case used <- b:
		default:
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("read %s: %w", f.path, context.Cause(ctx))
	}
	return nil
}

// batch is an empty batch: one that has been used, if there is one.
func (f *fileRows) batch(used <-chan *batch) *batch {
	fresh := batch{parser: newObjectParser(f.want), done: make(chan struct{})}
	select {
	case b := <-used:
		clear(b.rows[:cap(b.rows)])
		clear(b.cells)
		fresh.rows, fresh.cells = b.rows[:0], b.cells
	default:
		fresh.rows, fresh.cells = make([]candidate, 0, batchRows), make([]cell, batchRows*len(f.want))
	}
	return &fresh
}

// batches reads the file. It ends with the file, an error or ctx.
func (f *fileRows) batches(ctx context.Context, rows rowReader, room chan<- struct{}, used <-chan *batch, inOrder, work chan<- *batch) {
	for end := false; !end; {
		b, n, size := f.batch(used), len(f.want), 0
		for len(b.rows) < batchRows && size < batchBytes && ctx.Err() == nil {
			at := len(b.rows)
			b.rows = b.rows[:at+1]
			c := &b.rows[at]
			c.row.cells = b.cells[at*n : (at+1)*n : (at+1)*n]
			if b.err = rows.next(&c.row); b.err != nil {
				b.rows = b.rows[:at]
				break
			}
			size += c.row.bytes()
		}
		end = b.err != nil || ctx.Err() != nil
		b.share = min(batchRoom, max(1, size/batchBytes))
		for range b.share {
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
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
