package distill

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// Record batches have 4,096 rows, or fewer so that their numbers stay within a
// few megabytes: a reader holds one at a time.
const (
	topBatchRows   = 4096
	topBatchValues = 1 << 20
)

// topSchema is the schema of topk.arrow: one row per token of an answer, with at
// most k alternatives.
func topSchema(k int) *arrow.Schema {
	list := func(t arrow.DataType) arrow.DataType { return arrow.ListOfNonNullable(t) }
	most := arrow.NewMetadata([]string{"top_k"}, []string{strconv.Itoa(k)})
	return arrow.NewSchema([]arrow.Field{
		{Name: "example", Type: arrow.PrimitiveTypes.Int32}, // row of answers.parquet
		{Name: "offset", Type: arrow.PrimitiveTypes.Int32},  // token of the answer
		{Name: "ids", Type: list(arrow.PrimitiveTypes.Int32)},
		{Name: "log_probs", Type: list(arrow.PrimitiveTypes.Float32)}, // nats
	}, &most)
}

func topRowsPerBatch(k int) int { return min(topBatchRows, max(1, topBatchValues/k)) }

// writeTop writes the alternatives of rows.
func writeTop(path string, k int, rows []Row) (fileSum, error) {
	if k < 1 || k > maxTopK || len(rows) > 1<<31-1 {
		return fileSum{}, fmt.Errorf("write %s: %d rows of %d alternatives", path, len(rows), k)
	}
	var sum fileSum
	err := atomicfile.Write(path, func(w io.Writer) error {
		out := &countingWriter{w: w, hash: sha256.New()}
		if err := writeTopTo(out, k, rows); err != nil {
			return err
		}
		sum = fileSum{Bytes: out.n, SHA256: hex.EncodeToString(out.hash.Sum(nil))}
		return nil
	})
	return sum, err
}

func writeTopTo(w io.WriteSeeker, k int, rows []Row) (err error) {
	schema := topSchema(k)
	out, err := ipc.NewFileWriter(w, ipc.WithSchema(schema), ipc.WithAllocator(memory.DefaultAllocator))
	if err != nil {
		return err
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	example, offset := b.Field(0).(*array.Int32Builder), b.Field(1).(*array.Int32Builder)
	ids, logProbs := b.Field(2).(*array.ListBuilder), b.Field(3).(*array.ListBuilder)
	flush := func() error {
		record := b.NewRecord()
		defer record.Release()
		return out.Write(record)
	}
	checker := NewTopTable(k)
	for i := range rows {
		r := &rows[i]
		if len(r.Top) != len(r.Tokens) {
			return fmt.Errorf("row %d (%s): alternatives for %d of %d tokens", i, r.ID, len(r.Top), len(r.Tokens))
		}
		for place, top := range r.Top {
			if err := checker.checkPlace(place, top); err != nil {
				return fmt.Errorf("row %d (%s): %w", i, r.ID, err)
			}
			example.Append(int32(i))
			offset.Append(int32(place))
			ids.Append(true)
			ids.ValueBuilder().(*array.Int32Builder).AppendValues(top.IDs, nil)
			logProbs.Append(true)
			logProbs.ValueBuilder().(*array.Float32Builder).AppendValues(top.LogProbs, nil)
			if example.Len() == topRowsPerBatch(k) {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if example.Len() > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	return out.Close()
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
