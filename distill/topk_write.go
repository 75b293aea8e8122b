package distill

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/model"
)

// topWriter writes topk.arrow, a record batch in memory at a time.
type topWriter struct {
	file    *atomicfile.File
	stream  *topStream
	checker topChecker
}

// createTop begins the file at path.
func createTop(path string, info Info) (*topWriter, error) {
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	w := &topWriter{file: file, checker: topChecker{k: info.TopK, vocabulary: info.Vocabulary}}
	if w.stream, err = newTopStream(file, info.TopK, topIDBytes(info.Vocabulary)); err != nil {
		return nil, errors.Join(err, file.Abort())
	}
	return w, nil
}

// add appends the alternatives of r's tokens.
func (w *topWriter) add(r *Row) error {
	if len(r.Top) != len(r.Tokens) {
		return fmt.Errorf("alternatives for %d of %d tokens", len(r.Top), len(r.Tokens))
	}
	for place, top := range r.Top {
		rest, err := w.checker.rest(place, top)
		if err != nil {
			return err
		}
		if err := w.stream.add(top, rest); err != nil {
			return err
		}
	}
	return nil
}

// commit publishes the file.
func (w *topWriter) commit() (fileSum, error) {
	if err := w.stream.close(); err != nil {
		return fileSum{}, err
	}
	out := w.stream.out
	return fileSum{Bytes: out.n, SHA256: hex.EncodeToString(out.hash.Sum(nil))}, w.file.Commit()
}

// topStream writes rows of topSchema as an Arrow IPC file.
type topStream struct {
	out     *countingWriter
	arrow   *ipc.FileWriter
	schema  *arrow.Schema
	idBytes int
	full    int // rows of a batch

	// The batch so far, as Arrow has it.
	rows, values             int
	starts, ids, roots, rest []byte
}

func newTopStream(w io.Writer, k, idBytes int) (*topStream, error) {
	t := &topStream{out: &countingWriter{w: w, hash: sha256.New()}, schema: topSchema(k, idBytes), idBytes: idBytes, full: topRowsPerBatch(k)}
	t.reset()
	var err error
	t.arrow, err = ipc.NewFileWriter(t.out, ipc.WithSchema(t.schema), ipc.WithAllocator(memory.DefaultAllocator))
	return t, err
}

func (t *topStream) reset() {
	t.rows, t.values = 0, 0
	t.starts, t.ids, t.roots, t.rest = append(t.starts[:0], 0, 0, 0, 0), t.ids[:0], t.roots[:0], t.rest[:0]
}

func (t *topStream) add(top model.TopTokens, rest float64) error {
	little := binary.LittleEndian
	for j, id := range top.IDs {
		if t.idBytes == 2 {
			t.ids = little.AppendUint16(t.ids, uint16(id))
		} else {
			t.ids = little.AppendUint32(t.ids, uint32(id))
		}
		t.roots = little.AppendUint16(t.roots, rootOf(float64(top.LogProbs[j])))
	}
	t.rows, t.values = t.rows+1, t.values+len(top.IDs)
	t.starts = little.AppendUint32(t.starts, uint32(t.values))
	t.rest = little.AppendUint16(t.rest, rootOf(rest))
	if t.rows == t.full {
		return t.flush()
	}
	return nil
}

// flush writes the rows so far as a record batch.
func (t *topStream) flush() error {
	flat := func(of arrow.DataType, n int, bytes []byte) arrow.ArrayData {
		return array.NewData(of, n, []*memory.Buffer{nil, memory.NewBufferBytes(bytes)}, nil, 0, 0)
	}
	list := func(column int, of arrow.DataType, values []byte) arrow.ArrayData {
		return array.NewData(t.schema.Field(column).Type, t.rows, []*memory.Buffer{nil, memory.NewBufferBytes(t.starts)},
			[]arrow.ArrayData{flat(of, t.values, values)}, 0, 0)
	}
	root := arrow.PrimitiveTypes.Uint16
	record := array.NewRecord(t.schema, []arrow.Array{
		array.MakeFromData(list(0, topIDType(t.idBytes), t.ids)),
		array.MakeFromData(list(1, root, t.roots)),
		array.MakeFromData(flat(root, t.rows, t.rest)),
	}, int64(t.rows))
	defer record.Release()
	if err := t.arrow.Write(record); err != nil {
		return err
	}
	t.reset()
	return nil
}

// close writes the rest and the file's end.
func (t *topStream) close() error {
	if t.rows > 0 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return t.arrow.Close()
}

// countingWriter tells the arrow writer where it is, and hashes what goes by.
type countingWriter struct {
	w    io.Writer
	n    int64
	hash hash.Hash
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.hash.Write(p[:n])
	c.n += int64(n)
	return n, err
}

// Seek implements io.Seeker for the one question that the arrow writer asks.
func (c *countingWriter) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("the file is written from start to end")
	}
	return c.n, nil
}
