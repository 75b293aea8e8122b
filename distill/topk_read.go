package distill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// topFile is an open topk.arrow, of which places are read one run at a time. It is
// safe for concurrent use.
type topFile struct {
	path    string
	size    int64
	in      io.ReaderAt
	closer  io.Closer // nil where the file is in memory
	held    int64     // bytes of the file in memory
	k       int
	idBytes int
	batches []topBatch
}

// topBatch is a record batch: where its body begins, and what it holds.
type topBatch struct {
	at           int64
	rows, values int32
}

// topScratch is memory for places that are read.
type topScratch struct {
	raw, more []byte
	ids       []int32
	logProbs  []float32
}

func (s *topScratch) reset() { s.ids, s.logProbs = s.ids[:0], s.logProbs[:0] }

func (f *topFile) bytes() int64 { return f.held + 16*int64(len(f.batches)) }

func (f *topFile) close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// read calls set with n places from the from-th on, which must be there.
func (f *topFile) read(from, n int64, s *topScratch, set func(i int, p Place)) error {
	full := int64(topRowsPerBatch(f.k))
	for i := int64(0); i < n; {
		b, at := &f.batches[(from+i)/full], (from+i)%full
		rows := min(n-i, int64(b.rows)-at)
		if err := f.readRows(b, at, rows, s, func(j int, p Place) { set(int(i)+j, p) }); err != nil {
			return fmt.Errorf("read %s: token %d of all: %w", f.path, from+i, err)
		}
		i += rows
	}
	return nil
}

// readRows calls set with n rows of a batch, from one on.
func (f *topFile) readRows(b *topBatch, from, n int64, s *topScratch, set func(i int, p Place)) error {
	p := topPlacesOf(int64(b.rows), int64(b.values), f.idBytes)
	s.raw = slices.Grow(s.raw[:0], int(6*n+4))[:6*n+4]
	starts, rest := s.raw[:4*n+4], s.raw[4*n+4:]
	if err := f.readAt(starts, b.at+p.starts+4*from); err != nil {
		return err
	}
	if err := f.readAt(rest, b.at+p.rest+2*from); err != nil {
		return err
	}
	first, last := startAt(starts, 0), startAt(starts, n)
	if first < 0 || last < first || last > int64(b.values) {
		return fmt.Errorf("alternatives %d to %d of %d", first, last, b.values)
	}
	ids, logProbs, err := f.readValues(b.at+p.ids+int64(f.idBytes)*first, b.at+p.roots+2*first, int(last-first), s)
	if err != nil {
		return err
	}
	logs := rootLogs()
	for i := range n {
		a, b := startAt(starts, i)-first, startAt(starts, i+1)-first
		if a < 0 || b < a || b > int64(len(ids)) || b-a > int64(f.k) {
			return fmt.Errorf("alternatives %d to %d of %d, at most %d", a, b, len(ids), f.k)
		}
		at := Place{Rest: logs[rootAt(rest, int(i))]}
		if a < b {
			at.IDs, at.LogProbs = ids[a:b:b], logProbs[a:b:b]
		}
		set(int(i), at)
	}
	return nil
}

// readValues reads n ids and roots, and appends them to those of s.
func (f *topFile) readValues(idsAt, rootsAt int64, n int, s *topScratch) ([]int32, []float32, error) {
	wide := f.idBytes * n
	s.more = slices.Grow(s.more[:0], wide+2*n)[:wide+2*n]
	rawIDs, rawRoots := s.more[:wide], s.more[wide:]
	if err := errors.Join(f.readAt(rawIDs, idsAt), f.readAt(rawRoots, rootsAt)); err != nil {
		return nil, nil, err
	}
	at := len(s.ids)
	s.ids, s.logProbs = slices.Grow(s.ids, n)[:at+n], slices.Grow(s.logProbs, n)[:at+n]
	ids, logProbs, logs := s.ids[at:], s.logProbs[at:], rootLogs()
	for i := range ids {
		if f.idBytes == 2 {
			ids[i] = int32(binary.LittleEndian.Uint16(rawIDs[2*i:]))
		} else {
			ids[i] = int32(binary.LittleEndian.Uint32(rawIDs[4*i:]))
		}
		logProbs[i] = logs[rootAt(rawRoots, i)]
	}
	return ids, logProbs, nil
}

// readAt fills b with what is there in the file.
func (f *topFile) readAt(b []byte, at int64) error {
	n, err := f.in.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("%d bytes at %d: %w", len(b), at, errors.Join(err, io.ErrUnexpectedEOF))
}

func startAt(starts []byte, i int64) int64 {
	return int64(int32(binary.LittleEndian.Uint32(starts[4*i:])))
}
