// Package extsort sorts more records of one size than memory holds: sorted
// runs in a scratch file, then merges of many runs at once. Records are
// compared whole, byte by byte, so keys come first and numbers are big-endian.
package extsort

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
)

// DefaultMemory bounds a Sorter's buffers when nothing else is said, in bytes.
const DefaultMemory = 64 << 20

// minMemory is the least that merges two runs at a useful speed, in bytes.
const minMemory = 4 << 10

// Sorter collects records and gives them back in order. Its buffers take up to
// the given memory while records are added (half as much again while the
// buffer grows) and as much again while they are merged. Not safe for
// concurrent use.
type Sorter struct {
	dir    string
	size   int // bytes a record
	memory int // bytes of the buffer
	buf    []byte
	file   Scratch
	runs   []run
	end    int64 // bytes written to file
	sorted bool
}

// run is a sorted stretch of the scratch file.
type run struct{ from, bytes int64 }

// New makes a Sorter of records of size bytes with scratch files in dir.
// Memory is in bytes; 0 means DefaultMemory.
func New(dir string, size, memory int) (*Sorter, error) {
	if memory == 0 {
		memory = DefaultMemory
	}
	if size < 1 {
		return nil, fmt.Errorf("records of %d bytes: want 1 or more", size)
	}
	if memory < max(minMemory, 4*size) {
		return nil, fmt.Errorf("sorting in %d bytes of memory: want %d or more", memory, max(minMemory, 4*size))
	}
	return &Sorter{dir: dir, size: size, memory: memory / size * size}, nil
}

// Add copies a record. An error of the disk names the file.
func (s *Sorter) Add(ctx context.Context, record []byte) error {
	if len(record) != s.size {
		return fmt.Errorf("record of %d bytes: want %d", len(record), s.size)
	}
	if s.sorted {
		return errors.New("adding a record after sorting")
	}
	if len(s.buf) == s.memory {
		if err := s.spill(ctx); err != nil {
			return err
		}
	}
	if len(s.buf) == cap(s.buf) {
		s.grow()
	}
	s.buf = append(s.buf, record...)
	return nil
}

func (s *Sorter) grow() {
	bigger := make([]byte, len(s.buf), min(s.memory, max(64*s.size, 2*cap(s.buf)/s.size*s.size)))
	copy(bigger, s.buf)
	s.buf = bigger
}

// spill sorts the buffer and writes it as one run.
func (s *Sorter) spill(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.file.File == nil {
		file, err := NewScratch(s.dir)
		if err != nil {
			return err
		}
		s.file = file
	}
	sortRecords(s.buf, s.size, 0)
	if _, err := s.file.WriteAt(s.buf, s.end); err != nil {
		return err
	}
	s.runs = append(s.runs, run{s.end, int64(len(s.buf))})
	s.end += int64(len(s.buf))
	s.buf = s.buf[:0]
	return nil
}

// Sorted gives the records in order, once; a record is valid until the next.
// The first error ends it.
func (s *Sorter) Sorted(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if s.sorted {
			yield(nil, errors.New("sorting a second time"))
			return
		}
		s.sorted = true
		if len(s.runs) == 0 {
			s.fromMemory(ctx, yield)
			return
		}
		if err := s.prepare(ctx); err != nil {
			yield(nil, err)
			return
		}
		if err := s.merge(ctx, s.runs, func(r []byte) bool { return yield(r, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func (s *Sorter) fromMemory(ctx context.Context, yield func([]byte, error) bool) {
	sortRecords(s.buf, s.size, 0)
	for i := 0; i < len(s.buf); i += s.size {
		if i/s.size%checkEvery == 0 && ctx.Err() != nil {
			yield(nil, ctx.Err())
			return
		}
		if !yield(s.buf[i:i+s.size], nil) {
			return
		}
	}
}

// prepare writes what is left and merges until the runs fit one merge.
func (s *Sorter) prepare(ctx context.Context) error {
	if len(s.buf) > 0 {
		if err := s.spill(ctx); err != nil {
			return err
		}
	}
	s.buf = nil
	for len(s.runs) > s.fanIn() {
		if err := s.mergePass(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mergePass merges each fanIn runs into one, in a new file.
func (s *Sorter) mergePass(ctx context.Context) error {
	next, err := NewScratch(s.dir)
	if err != nil {
		return err
	}
	var runs []run
	var end int64
	w := bufio.NewWriterSize(next, minMemory)
	for from := 0; from < len(s.runs); from += s.fanIn() {
		start := end
		var failed error
		err := s.merge(ctx, s.runs[from:min(from+s.fanIn(), len(s.runs))], func(r []byte) bool {
			_, failed = w.Write(r)
			end += int64(len(r))
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return errors.Join(err, next.Close())
		}
		runs = append(runs, run{start, end - start})
	}
	if err := w.Flush(); err != nil {
		return errors.Join(err, next.Close())
	}
	err = s.file.Close()
	s.file, s.runs = next, runs
	return err
}

// Close lets go of memory and files. It may be called twice.
func (s *Sorter) Close() error {
	s.buf, s.runs, s.sorted = nil, nil, true
	return s.file.Close()
}
