package datasets

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// tokensSchema is the schema of data-*.arrow. Fields may be null, as pyarrow's
// may unless it is told otherwise, and never are.
func tokensSchema() *arrow.Schema {
	field := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	return arrow.NewSchema([]arrow.Field{
		field("input_ids", arrow.ListOf(arrow.PrimitiveTypes.Int32)),
		field("loss_mask", arrow.ListOf(arrow.PrimitiveTypes.Int8)),
		field("example", arrow.PrimitiveTypes.Int64),
		field("prompt_len", arrow.PrimitiveTypes.Int32),
		field("weight", arrow.PrimitiveTypes.Float32),
	}, nil)
}

// recordPlaces are where the columns' values begin in the body of a record
// batch, and how long the body is. Buffers are in the order of the columns, each
// padded to 8 bytes; none has a bitmap of what is null, as nothing is.
type recordPlaces struct{ ids, mask, example, promptLen, weight, size int64 }

func placesOf(rows, tokens int64) (p recordPlaces) {
	next := func(bytes int64) int64 {
		at := p.size
		p.size += (bytes + 7) &^ 7
		return at
	}
	next(4 * (rows + 1)) // where each list begins
	p.ids = next(4 * tokens)
	next(4 * (rows + 1))
	p.mask = next(tokens)
	p.example, p.promptLen, p.weight = next(8*rows), next(4*rows), next(4*rows)
	return p
}

// recordBuffers collects the sequences of a record batch, as Arrow has them.
type recordBuffers struct {
	rows, tokens                                   int
	starts, ids, mask, example, promptLen, weights []byte
}

func (b *recordBuffers) reset() {
	*b = recordBuffers{starts: append(b.starts[:0], 0, 0, 0, 0), ids: b.ids[:0], mask: b.mask[:0], example: b.example[:0],
		promptLen: b.promptLen[:0], weights: b.weights[:0]}
}

func (b *recordBuffers) full() bool { return b.rows >= recordSequences || b.tokens >= recordTokens }

func (b *recordBuffers) add(s *Sequence) {
	little := binary.LittleEndian
	for at, id := range s.Tokens {
		b.ids = little.AppendUint32(b.ids, uint32(id))
		learned := byte(0)
		if s.Learns(at) {
			learned = 1
		}
		b.mask = append(b.mask, learned)
	}
	weight := s.Weight
	if weight == 0 {
		weight = 1
	}
	b.rows, b.tokens = b.rows+1, b.tokens+len(s.Tokens)
	b.starts = little.AppendUint32(b.starts, uint32(b.tokens))
	b.example = little.AppendUint64(b.example, uint64(s.Example))
	b.promptLen = little.AppendUint32(b.promptLen, uint32(s.PromptLen))
	b.weights = little.AppendUint32(b.weights, math.Float32bits(weight))
}

// record is the batch, which holds until the buffers change.
func (b *recordBuffers) record(schema *arrow.Schema) arrow.Record {
	buffer := func(bytes []byte) *memory.Buffer { return memory.NewBufferBytes(bytes) }
	flat := func(t arrow.DataType, n int, bytes []byte) arrow.ArrayData {
		return array.NewData(t, n, []*memory.Buffer{nil, buffer(bytes)}, nil, 0, 0)
	}
	list := func(t arrow.DataType, values []byte) arrow.ArrayData {
		return array.NewData(arrow.ListOf(t), b.rows, []*memory.Buffer{nil, buffer(b.starts)}, []arrow.ArrayData{flat(t, b.tokens, values)}, 0, 0)
	}
	columns := []arrow.Array{
		array.MakeFromData(list(arrow.PrimitiveTypes.Int32, b.ids)),
		array.MakeFromData(list(arrow.PrimitiveTypes.Int8, b.mask)),
		array.MakeFromData(flat(arrow.PrimitiveTypes.Int64, b.rows, b.example)),
		array.MakeFromData(flat(arrow.PrimitiveTypes.Int32, b.rows, b.promptLen)),
		array.MakeFromData(flat(arrow.PrimitiveTypes.Float32, b.rows, b.weights)),
	}
	return array.NewRecord(schema, columns, int64(b.rows))
}

// tokensStream writes sequences as an Arrow IPC stream.
type tokensStream struct {
	out     *countedWriter
	arrow   *ipc.Writer
	schema  *arrow.Schema
	buffers recordBuffers
	records []recordPlace
	tokens  int64 // of all sequences added
}

// recordPlace is a record batch: where its body begins, and what it holds.
type recordPlace struct {
	At     int64 `json:"at"` // byte in the file
	Rows   int   `json:"rows"`
	Tokens int   `json:"tokens"`
}

func newTokensStream(w io.Writer) *tokensStream {
	t := &tokensStream{out: &countedWriter{w: w}, schema: tokensSchema()}
	t.arrow = ipc.NewWriter(t.out, ipc.WithSchema(t.schema))
	t.buffers.reset()
	return t
}

func (t *tokensStream) add(s *Sequence) error {
	t.buffers.add(s)
	t.tokens += int64(len(s.Tokens))
	if t.buffers.full() {
		return t.flush()
	}
	return nil
}

// flush writes the sequences so far as a record batch.
func (t *tokensStream) flush() error {
	b := &t.buffers
	if b.rows == 0 {
		return nil
	}
	record := b.record(t.schema)
	defer record.Release()
	before := t.out.n
	if err := t.arrow.Write(record); err != nil {
		return err
	}
	p := recordPlace{At: t.out.n - placesOf(int64(b.rows), int64(b.tokens)).size, Rows: b.rows, Tokens: b.tokens}
	if p.At <= before {
		return fmt.Errorf("arrow wrote %d bytes for %d sequences of %d tokens", t.out.n-before, b.rows, b.tokens)
	}
	t.records = append(t.records, p)
	b.reset()
	return nil
}

// close writes the rest and the stream's end.
func (t *tokensStream) close() error {
	if err := t.flush(); err != nil {
		return err
	}
	return t.arrow.Close()
}

// countedWriter counts what it writes.
type countedWriter struct {
	w io.Writer
	n int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
