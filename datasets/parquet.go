package datasets

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/retort-ml/retort/internal/atomicfile"
)

const (
	rowsPerGroup  = 1 << 16
	bytesPerGroup = 32 << 20 // of examples in memory; a row group ends after these
	readRows      = 256      // rows decoded at a time
)

// WriteParquet writes rows to a new Parquet file at path (zstd, row groups of
// 65,536 rows), complete or not at all. T is a struct with `parquet:"name"`
// tags, whose fields become the columns in order. The same rows give the same
// bytes. Errors name the file.
func WriteParquet[T any](path string, rows []T) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		return guard(func() error {
			out := newParquetWriter[T](w, zstd.DefaultLevel)
			if _, err := out.Write(rows); err != nil {
				return err
			}
			return out.Close()
		})
	})
}

func newParquetWriter[T any](w io.Writer, level zstd.Level, more ...parquet.WriterOption) *parquet.GenericWriter[T] {
	return parquet.NewGenericWriter[T](w, append(more,
		parquet.Compression(&zstd.Codec{Level: level}),
		parquet.MaxRowsPerRowGroup(rowsPerGroup),
		// The default names the versions of the build, and so would
		// change the bytes from build to build.
		parquet.CreatedBy("retort", "1", "0"))...)
}

// writeParquet writes the examples of batches likewise, with smaller row groups
// where the texts are long. done tells, after the last batch, whether that was all.
func writeParquet(path string, batches iter.Seq[writeBatch], done func() error) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		return guard(func() error {
			out := newParquetWriter[Example](w, zstd.SpeedFastest)
			size := 0
			for batch := range batches {
				if _, err := out.Write(batch); err != nil {
					return err
				}
				for i := range batch {
					size += batch[i].bytes()
				}
				if size > bytesPerGroup {
					if err := out.Flush(); err != nil {
						return err
					}
					size = 0
				}
			}
			if err := done(); err != nil {
				return err
			}
			return out.Close()
		})
	})
}

// ReadParquet reads all rows of the Parquet file at path. T is a struct as for
// WriteParquet; each of its columns must be in the file with the same kind of
// value, and other columns are not read. A damaged file is an error that names
// it, whatever the damage.
func ReadParquet[T any](path string) ([]T, error) {
	var rows []T
	for row, err := range ParquetRows[T](path) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// parquetSeq yields the rows of a file. Columns that are optional may be absent.
func parquetSeq[T any](f *parquetFile, optional []string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		err := guard(func() error { return f.checkColumns(parquet.SchemaOf(new(T)), optional) })
		if err != nil {
			yield(none, err)
			return
		}
		n := 0
		for _, group := range f.rowGroups() {
			in, batch := &groupReader[T]{group: group, left: group.NumRows()}, []T(nil)
			for in.left > 0 {
				err := guard(func() (err error) { batch, err = in.next(); return err })
				for _, row := range batch {
					if !yield(row, nil) {
						in.close()
						return
					}
				}
				if n += len(batch); err != nil {
					in.close()
					yield(none, fmt.Errorf("row %d: %w", n, err))
					return
				}
			}
			in.close()
		}
	}
}

// groupReader reads the rows of one row group.
type groupReader[T any] struct {
	group parquet.RowGroup
	in    *parquet.GenericReader[T]
	left  int64
}

func (r *groupReader[T]) next() ([]T, error) {
	if r.in == nil {
		r.in = parquet.NewGenericRowGroupReader[T](r.group)
	}
	batch := make([]T, min(readRows, r.left))
	n, err := r.in.Read(batch)
	r.left -= int64(n)
	if err == io.EOF {
		err = nil
	}
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	return batch[:n], err
}

func (r *groupReader[T]) close() {
	if r.in != nil {
		r.in.Close()
	}
}

// checkColumns checks that the file has every leaf column of schema, for
// parquet-go fills what is missing with zeros.
func (f *parquetFile) checkColumns(schema *parquet.Schema, optional []string) error {
	for _, path := range schema.Columns() {
		want, _ := schema.Lookup(path...)
		have, ok := f.plain.Schema().Lookup(path...)
		name := strings.Join(path, ".")
		if !ok && slices.Contains(optional, path[0]) {
			continue
		}
		if !ok {
			return fmt.Errorf("no column %q; it has %s", name, f.columnNames())
		}
		if w, h := want.Node.Type().Kind(), have.Node.Type().Kind(); w != h {
			return fmt.Errorf("column %q holds %s, want %s", name, h, w)
		}
	}
	return nil
}

// columnNames lists the file's columns for messages.
func (f *parquetFile) columnNames() string {
	names := make([]string, len(f.leaves))
	for i, leaf := range f.leaves {
		names[i] = strings.Join(leaf.Path(), ".")
	}
	return nameList(names)
}
