package datasets

import (
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/retort-ml/retort/internal/atomicfile"
)

const (
	rowsPerGroup = 1 << 16
	readRows     = 256 // rows decoded at a time
)

// WriteParquet writes rows to a new Parquet file at path (zstd, row groups of
// 65,536 rows), complete or not at all. T is a struct with `parquet:"name"`
// tags, whose fields become the columns in order. The same rows give the same
// bytes. Errors name the file.
func WriteParquet[T any](path string, rows []T) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		return guard(func() error {
			out := parquet.NewGenericWriter[T](w,
				parquet.Compression(&zstd.Codec{}),
				parquet.MaxRowsPerRowGroup(rowsPerGroup),
				// The default names the versions of the build, and so would
				// change the bytes from build to build.
				parquet.CreatedBy("retort", "1", "0"))
			if _, err := out.Write(rows); err != nil {
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
	f, err := openParquet(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows []T
	err = guard(func() error {
		schema := parquet.SchemaOf(new(T))
		if err := f.checkColumns(schema); err != nil {
			return err
		}
		for _, group := range f.rowGroups() {
			if rows, err = appendRows(rows, group); err != nil {
				return fmt.Errorf("row %d: %w", len(rows), err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return rows, nil
}

// appendRows appends the rows of one row group, all of them or an error.
func appendRows[T any](rows []T, group parquet.RowGroup) ([]T, error) {
	if group.NumRows() == 0 {
		return rows, nil
	}
	in := parquet.NewGenericRowGroupReader[T](group)
	defer in.Close()
	want := int64(len(rows)) + group.NumRows()
	for int64(len(rows)) < want {
		batch := make([]T, min(readRows, want-int64(len(rows))))
		n, err := in.Read(batch)
		rows = append(rows, batch[:n]...)
		if err != nil && err != io.EOF {
			return rows, err
		}
		if n == 0 {
			return rows, io.ErrUnexpectedEOF
		}
	}
	return rows, nil
}

// checkColumns checks that the file has every leaf column of schema, for
// parquet-go fills what is missing with zeros.
func (f *parquetFile) checkColumns(schema *parquet.Schema) error {
	for _, path := range schema.Columns() {
		want, _ := schema.Lookup(path...)
		have, ok := f.plain.Schema().Lookup(path...)
		name := strings.Join(path, ".")
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
