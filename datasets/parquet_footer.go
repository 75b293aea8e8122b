package datasets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	parquetMagic = "PAR1"

	maxFooterBytes   = 32 << 20 // a footer of 100,000 column chunks takes about 20 MB
	maxSchemaNodes   = 1 << 15
	maxSchemaDepth   = 32
	maxColumnChunks  = 1 << 20 // over all row groups
	maxFixedLenBytes = 1 << 24
)

// chunkSpan is where the pages of one column chunk lie in the file.
type chunkSpan struct {
	start, size int64 // bytes
	values      int64 // including nulls
	codec       format.CompressionCodec
	kind        format.Type
}

// readFooter reads the metadata of the Parquet file r of the given size, after
// checking that its counts can be true of a file of that size.
// Format: github.com/apache/parquet-format, README.md and parquet.thrift.
func readFooter(r io.ReaderAt, size int64) (*format.FileMetaData, error) {
	const tail = 8 // length of the footer, magic
	if size < int64(len(parquetMagic))+tail {
		return nil, fmt.Errorf("not a Parquet file: %d bytes are too few", size)
	}
	var head [4]byte
	var end [tail]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	if _, err := r.ReadAt(end[:], size-tail); err != nil && err != io.EOF {
		return nil, err
	}
	if string(head[:]) == "PARE" || string(end[4:]) == "PARE" {
		return nil, errors.New("the file is encrypted, which is not supported")
	}
	if string(head[:]) != parquetMagic {
		return nil, fmt.Errorf("not a Parquet file: it begins with %q", head[:])
	}
	if string(end[4:]) != parquetMagic {
		return nil, errors.New("the file is cut off or damaged: the Parquet mark at its end is missing")
	}
	n := int64(binary.LittleEndian.Uint32(end[:4]))
	if n > size-tail-int64(len(parquetMagic)) || n > maxFooterBytes {
		return nil, fmt.Errorf("damaged footer: it claims %d bytes of a file of %d", n, size)
	}
	data := make([]byte, n)
	if _, err := r.ReadAt(data, size-tail-n); err != nil {
		return nil, err
	}
	if used, err := thriftStructLen(data); err != nil {
		return nil, fmt.Errorf("damaged footer: %w", err)
	} else if used != len(data) {
		return nil, fmt.Errorf("damaged footer: %d bytes left over", len(data)-used)
	}
	meta := new(format.FileMetaData)
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), data, meta); err != nil {
		return nil, fmt.Errorf("damaged footer: %w", err)
	}
	if meta.EncryptionAlgorithm.Value != nil {
		return nil, errors.New("the file is encrypted, which is not supported")
	}
	return meta, errors.Join(checkSchema(meta.Schema), checkRowGroups(meta, size-tail-n))
}

// checkSchema bounds the column tree, which is a list in depth-first order.
// Each element is within limits and the counts of children add up exactly.
func checkSchema(schema []format.SchemaElement) error {
	if len(schema) == 0 || len(schema) > maxSchemaNodes {
		return fmt.Errorf("damaged footer: a schema of %d elements", len(schema))
	}
	var open []int32 // children still to come, per ancestor
	for i := range schema {
		e := &schema[i]
		if i > 0 {
			if len(open) == 0 {
				return fmt.Errorf("damaged footer: schema element %d has no parent", i)
			}
			open[len(open)-1]--
		}
		if e.Type.Valid && (e.Type.V < format.Boolean || e.Type.V > format.FixedLenByteArray) {
			return fmt.Errorf("damaged footer: column %q has the unknown type %d", e.Name, e.Type.V)
		}
		if r := e.RepetitionType; r.Valid && (r.V < format.Required || r.V > format.Repeated) {
			return fmt.Errorf("damaged footer: column %q has the unknown repetition %d", e.Name, r.V)
		}
		if e.TypeLength.Valid && (e.TypeLength.V < 0 || e.TypeLength.V > maxFixedLenBytes) {
			return fmt.Errorf("damaged footer: column %q has values of %d bytes", e.Name, e.TypeLength.V)
		}
		if n := e.NumChildren; n.Valid && n.V != 0 {
			if n.V < 0 || int(n.V) > len(schema)-i-1 {
				return fmt.Errorf("damaged footer: column %q claims %d children", e.Name, n.V)
			}
			if len(open) == maxSchemaDepth {
				return fmt.Errorf("columns nested more than %d deep", maxSchemaDepth)
			}
			open = append(open, n.V)
		}
		for len(open) > 0 && open[len(open)-1] == 0 {
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return errors.New("damaged footer: the schema ends early")
	}
	return nil
}

// checkRowGroups checks that the row counts agree and that every column chunk
// lies between the file's head and its footer, which begins at byte end.
func checkRowGroups(meta *format.FileMetaData, end int64) error {
	var rows int64
	chunks := 0
	for g := range meta.RowGroups {
		group := &meta.RowGroups[g]
		if group.NumRows < 0 || group.NumRows > math.MaxInt64-rows {
			return fmt.Errorf("damaged footer: row group %d claims %d rows", g, group.NumRows)
		}
		rows += group.NumRows
		if chunks += len(group.Columns); chunks > maxColumnChunks {
			return fmt.Errorf("more than %d column chunks", maxColumnChunks)
		}
		for c := range group.Columns {
			chunk := &group.Columns[c]
			if chunk.FilePath != "" {
				return fmt.Errorf("row group %d: column %d is in another file (%q), which is not supported", g, c, chunk.FilePath)
			}
			s := spanOf(&chunk.MetaData)
			if s.start < int64(len(parquetMagic)) || s.size < 0 || s.start > end || s.size > end-s.start || s.values < 0 {
				return fmt.Errorf("damaged footer: row group %d: column %d claims %d values in bytes %d+%d, and the data ends at %d",
					g, c, s.values, s.start, s.size, end)
			}
		}
	}
	if rows != meta.NumRows {
		return fmt.Errorf("damaged footer: it claims %d rows and its row groups have %d", meta.NumRows, rows)
	}
	return nil
}

func spanOf(m *format.ColumnMetaData) chunkSpan {
	start := m.DataPageOffset
	// Some writers leave a dictionary offset of 0, some one past the data.
	if d := m.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	return chunkSpan{start: start, size: m.TotalCompressedSize, values: m.NumValues, codec: m.Codec, kind: m.Type}
}

// plainFooter rewrites the metadata as of a file whose chunks are uncompressed
// and each begin at byte 0 of an endless reader: parquet-go takes from it the
// schema and how to decode, while pageStream serves the pages. Indexes, bloom
// filters and statistics are left out, for nothing here reads them.
func plainFooter(meta *format.FileMetaData) ([]byte, error) {
	for g := range meta.RowGroups {
		group := &meta.RowGroups[g]
		group.SortingColumns = nil
		group.Ordinal = int16(g)
		for c := range group.Columns {
			m := group.Columns[c].MetaData
			group.Columns[c] = format.ColumnChunk{MetaData: format.ColumnMetaData{
				Type: m.Type, Encoding: m.Encoding, PathInSchema: m.PathInSchema, NumValues: m.NumValues,
				Codec: format.Uncompressed, TotalCompressedSize: math.MaxInt64,
			}}
		}
	}
	meta.KeyValueMetadata = nil
	return thrift.Marshal(new(thrift.CompactProtocol), *meta)
}

// openPlain opens the rewritten footer with parquet-go.
func openPlain(meta *format.FileMetaData) (*parquet.File, error) {
	footer, err := plainFooter(meta)
	if err != nil {
		return nil, err
	}
	image := append([]byte(parquetMagic), footer...)
	image = binary.LittleEndian.AppendUint32(image, uint32(len(footer)))
	image = append(image, parquetMagic...)
	return parquet.OpenFile(bytes.NewReader(image), int64(len(image)), &parquet.FileConfig{
		SkipPageIndex: true, SkipBloomFilters: true, ReadBufferSize: 4096, ReadMode: parquet.ReadModeSync,
	})
}
