package distill

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retort-ml/retort/internal/model"
)

// TopK reads the teacher's alternatives into memory: 8 bytes for each, and
// 8 for every token. The file is checked against answers.json and against the rows
// before anything else; whatever is wrong with it is an error that names it.
func (a *Answers) TopK() (*TopTable, error) {
	path := filepath.Join(a.dir, topFile)
	if a.Info.TopK == 0 {
		return nil, fmt.Errorf("read %s: the answers were collected without the teacher's probabilities (top_k 0)", path)
	}
	if err := checkFile(path, a.top); err != nil {
		return nil, err
	}
	table, err := a.readTop(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return table, nil
}

func (a *Answers) readTop(path string) (*TopTable, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	n, k := 0, a.Info.TopK
	for i := range a.Rows {
		n += len(a.Rows[i].Tokens)
	}
	// Before memory is taken for it: uncompressed, a token takes at least its two
	// numbers and the ends of its two lists.
	if int64(n) > a.top.Bytes/16 {
		return nil, fmt.Errorf("%d bytes for %d tokens with %d alternatives", a.top.Bytes, n, k)
	}
	t := NewTopTable(k)
	t.start = slices.Grow(t.start, n)
	next := place{rows: a.Rows}
	err = eachRecord(f, n, k, func(r arrow.Record) error { return t.appendRecord(r, &next) })
	if err != nil {
		return nil, err
	}
	for i := range a.Rows {
		t.first = append(t.first, t.first[i]+len(a.Rows[i].Tokens))
	}
	return t, nil
}

// place is the answer's token that the next row must be of.
type place struct {
	rows        []Row
	row, offset int
}

func (p *place) skipEmpty() {
	for p.row < len(p.rows) && p.offset == len(p.rows[p.row].Tokens) {
		p.row, p.offset = p.row+1, 0
	}
}

// appendRecord appends the rows of a record batch of topSchema.
func (t *TopTable) appendRecord(r arrow.Record, next *place) error {
	example, offset := r.Column(0).(*array.Int32), r.Column(1).(*array.Int32)
	idList, logProbList := r.Column(2).(*array.List), r.Column(3).(*array.List)
	ids, logProbs := idList.ListValues().(*array.Int32), logProbList.ListValues().(*array.Float32)
	for _, c := range []arrow.Array{example, offset, idList, logProbList, ids, logProbs} {
		if c.NullN() > 0 {
			return errors.New("it has nulls")
		}
	}
	for i := range int(r.NumRows()) {
		next.skipEmpty()
		if next.row == len(next.rows) {
			return fmt.Errorf("it goes on after the last of %d answers", len(next.rows))
		}
		if e, o := example.Value(i), offset.Value(i); int(e) != next.row || int(o) != next.offset {
			return fmt.Errorf("token %d of answer %d, where token %d of answer %d should be", o, e, next.offset, next.row)
		}
		from, to := idList.ValueOffsets(i)
		fromLog, toLog := logProbList.ValueOffsets(i)
		p := model.TopTokens{IDs: ids.Int32Values()[from:to], LogProbs: logProbs.Float32Values()[fromLog:toLog]}
		if err := t.checkPlace(next.offset, p); err != nil {
			return fmt.Errorf("answer %d (%s): %w", next.row, next.rows[next.row].ID, err)
		}
		t.add(p.IDs, p.LogProbs)
		next.offset++
	}
	return nil
}

// eachRecord calls each with the record batches of the Arrow IPC file f, which
// must begin as one of k alternatives does, until it has had n rows. One batch
// is in memory at a time. Arrow panics on damaged files; here that is an error.
//
// The batches are read as the stream that an IPC file is: the footer, which
// repeats the schema and says where the batches are, can hold sizes that exhaust
// memory before anything looks at them, and is not needed.
func eachRecord(f *os.File, n, k int, each func(arrow.Record) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not a sound Arrow file: %v", p)
		}
	}()
	want, err := topBeginning(k)
	if err != nil {
		return err
	}
	have := make([]byte, len(want))
	if _, err := f.ReadAt(have, 0); err != nil || !bytes.Equal(have, want) {
		return fmt.Errorf("it does not begin as an Arrow file of %d alternatives", k)
	}
	stream := bufio.NewReaderSize(io.NewSectionReader(f, arrowMagicBytes, math.MaxInt64-arrowMagicBytes), 1<<16)
	limit := ipc.WithAllocator(&boundedAllocator{left: 4*int64(topRowsPerBatch(k))*int64(k+1)*8 + 1<<20})
	in, err := ipc.NewReaderFromMessageReader(boundedMessages{ipc.NewMessageReader(stream, limit), stream}, limit)
	if err != nil {
		return err
	}
	defer in.Release()
	for left := n; left > 0; left -= int(in.Record().NumRows()) {
		if !in.Next() {
			return errors.Join(in.Err(), fmt.Errorf("it ends %d rows too early", left))
		}
		if in.Record().NumRows() == 0 {
			return errors.New("a record batch without rows")
		}
		if err := each(in.Record()); err != nil {
			return err
		}
	}
	return nil
}

// arrowMagicBytes is what comes before the stream: ARROW1 and padding.
const arrowMagicBytes = 8

// topBeginning is a file of k alternatives up to its schema's end.
func topBeginning(k int) ([]byte, error) {
	var b bytes.Buffer
	if err := writeTopTo(&countingWriter{w: &b, hash: sha256.New()}, k, nil); err != nil {
		return nil, err
	}
	// After the magic, a mark, the schema's length, and the schema.
	n := binary.LittleEndian.Uint32(b.Bytes()[arrowMagicBytes+4:])
	return b.Bytes()[:arrowMagicBytes+8+int(n)], nil
}

// boundedMessages refuses messages whose descriptions are larger than any that
// is written: arrow takes memory for them without asking the allocator.
type boundedMessages struct {
	ipc.MessageReader
	in *bufio.Reader
}

func (m boundedMessages) Message() (*ipc.Message, error) {
	const most = 1 << 16
	head, err := m.in.Peek(8)
	if err != nil {
		return nil, fmt.Errorf("a message's length: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	if mark, n := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:]); mark != math.MaxUint32 || n > most {
		return nil, fmt.Errorf("a message marked %#x with %d bytes of description", mark, n)
	}
	return m.MessageReader.Message()
}

// boundedAllocator panics when more is in use than a few record batches of
// topk.arrow take: sizes in a damaged file may be anything.
type boundedAllocator struct{ left int64 }

func (b *boundedAllocator) Allocate(size int) []byte {
	b.take(int64(size))
	return memory.DefaultAllocator.Allocate(size)
}

func (b *boundedAllocator) Reallocate(size int, old []byte) []byte {
	b.take(int64(size - len(old)))
	return memory.DefaultAllocator.Reallocate(size, old)
}

func (b *boundedAllocator) Free(old []byte) { b.left += int64(len(old)) }

func (b *boundedAllocator) take(size int64) {
	if size > b.left {
		panic("a record batch larger than any that is written")
	}
	b.left -= size
}
