package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// ParquetWriter writes a Parquet file as WriteParquet does, a row group in
// memory at a time. It ends with Commit or Close, and is not for concurrent use.
type ParquetWriter[T any] struct {
	path string
	file *atomicfile.File
	out  *parquet.GenericWriter[T]
	size int   // of the rows of this group
	err  error // of an earlier Write
}

// CreateParquet begins the file at path, which appears there with Commit.
func CreateParquet[T any](path string) (*ParquetWriter[T], error) {
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	// Of every page, parquet-go would keep the least and the greatest value until the
	// end: of long texts, most of the file.
	var noBounds []parquet.WriterOption
	for _, column := range parquet.SchemaOf(new(T)).Columns() {
		noBounds = append(noBounds, parquet.SkipPageBounds(column...))
	}
	return &ParquetWriter[T]{path: path, file: file, out: newParquetWriter[T](file, zstd.DefaultLevel, noBounds...)}, nil
}

// Write adds rows that take about that many bytes in memory: they say where a
// row group ends. After an error nothing more can be written.
func (w *ParquetWriter[T]) Write(rows []T, bytes int) error {
	return w.do(func() error {
		if _, err := w.out.Write(rows); err != nil {
			return err
		}
		if w.size += bytes; w.size <= bytesPerGroup {
			return nil
		}
		w.size = 0
		return w.out.Flush()
	})
}

// Commit completes the file and publishes it.
func (w *ParquetWriter[T]) Commit() error {
	if err := w.do(w.out.Close); err != nil {
		return err
	}
	if w.err = w.file.Commit(); w.err == nil {
		w.err = fmt.Errorf("write %s: %w", w.path, fs.ErrClosed) // from now on
		return nil
	}
	return w.err
}

// Close gives the file up, unless Commit has published it.
func (w *ParquetWriter[T]) Close() error { return w.file.Abort() }

func (w *ParquetWriter[T]) do(f func() error) error {
	if w.err == nil {
		if err := guard(f); err != nil {
			w.err = fmt.Errorf("write %s: %w", w.path, err)
		}
	}
	return w.err
}

// ParquetRows yields the rows of the Parquet file at path, a few hundred of them in
// memory at a time. T is a struct as for ReadParquet. An error names the file, and
// nothing follows it.
func ParquetRows[T any](path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		f, err := openParquet(path)
		if err != nil {
			yield(*new(T), err)
			return
		}
		defer f.Close()
		for row, err := range parquetSeq[T](f, nil) {
			if err != nil {
				err = fmt.Errorf("read %s: %w", path, err)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// CheckParquet reads the footer of the Parquet file at path: it must have the
// columns of T. It returns the number of rows.
func CheckParquet[T any](path string) (rows int64, err error) {
	f, err := openParquet(path)
	if err != nil {
		return 0, err
	}
	err = guard(func() error { return f.checkColumns(parquet.SchemaOf(new(T)), nil) })
	if err != nil {
		return 0, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	for _, group := range f.plain.RowGroups() {
		rows += group.NumRows()
	}
	return rows, f.Close()
}
