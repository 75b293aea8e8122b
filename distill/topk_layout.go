package distill

import (
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
)

// topk.arrow has a row for every token of the answers, in the order of
// answers.parquet: row i is of the i-th of all the tokens there. Record batches
// have 4,096 rows, or fewer so that their numbers stay within a few megabytes; all
// but the last have as many.
const (
	topBatchRows   = 4096
	topBatchValues = 1 << 20
)

func topRowsPerBatch(k int) int { return min(topBatchRows, max(1, topBatchValues/k)) }

// topIDBytes is the width of an id below a vocabulary: 2 bytes where that is
// enough, 4 where it is not, or not known (0).
func topIDBytes(vocabulary int) int {
	if vocabulary > 0 && vocabulary <= 1<<16 {
		return 2
	}
	return 4
}

// topSchema is the schema of topk.arrow, with at most k alternatives a row. A row
// without alternatives has a rest of 1.
func topSchema(k, idBytes int) *arrow.Schema {
	list := func(t arrow.DataType) arrow.DataType { return arrow.ListOfNonNullable(t) }
	most := arrow.NewMetadata([]string{"top_k"}, []string{strconv.Itoa(k)})
	root := arrow.NewMetadata([]string{"probability"}, []string{"(x/65535)^8"})
	return arrow.NewSchema([]arrow.Field{
		{Name: "ids", Type: list(topIDType(idBytes))},
		{Name: "roots", Type: list(arrow.PrimitiveTypes.Uint16), Metadata: root}, // of their probabilities
		{Name: "rest", Type: arrow.PrimitiveTypes.Uint16, Metadata: root},        // of the mass of all other tokens
	}, &most)
}

func topIDType(idBytes int) arrow.DataType {
	if idBytes == 2 {
		return arrow.PrimitiveTypes.Uint16
	}
	return arrow.PrimitiveTypes.Int32
}

// topPlaces are where the buffers of a record batch begin in its body, and how long
// that is. Each is padded to 8 bytes; there are no bitmaps, as nothing is null.
type topPlaces struct{ starts, ids, again, roots, rest, size int64 }

// topPlacesOf are those of a batch with so many rows and alternatives.
func topPlacesOf(rows, values int64, idBytes int) (p topPlaces) {
	next := func(bytes int64) int64 {
		at := p.size
		p.size += (bytes + 7) &^ 7
		return at
	}
	p.starts, p.ids = next(4*(rows+1)), next(int64(idBytes)*values) // starts: where each row's list begins
	p.again, p.roots = next(4*(rows+1)), next(2*values)
	p.rest = next(2 * rows)
	return p
}
