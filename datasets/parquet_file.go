package datasets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetFile is a Parquet file whose every declared size has been, or will be
// on reading, checked against what is there. Not for concurrent use.
type parquetFile struct {
	path   string
	file   *os.File
	plain  *parquet.File // schema and decoding; its data is never read
	spans  [][]chunkSpan // per row group and leaf column
	leaves []*parquet.Column

	features string // what Hugging Face's datasets says of the columns, as JSON
}

// openParquet opens the file for reading. Errors name the file.
func openParquet(path string) (*parquetFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err // os names the file
	}
	f := &parquetFile{path: path, file: file}
	if err := guard(f.load); err != nil {
		file.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}

func (f *parquetFile) load() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	meta, err := readFooter(f.file, info.Size())
	if err != nil {
		return err
	}
	for g := range meta.RowGroups {
		spans := make([]chunkSpan, len(meta.RowGroups[g].Columns))
		for c := range spans {
			spans[c] = spanOf(&meta.RowGroups[g].Columns[c].MetaData)
		}
		f.spans = append(f.spans, spans)
	}
	for _, kv := range meta.KeyValueMetadata {
		if kv.Key == "huggingface" {
			f.features = kv.Value
		}
	}
	if f.plain, err = openPlain(meta); err != nil {
		return err
	}
	f.leaves = leafColumns(f.plain.Root(), nil)
	return f.checkCounts()
}

// checkCounts checks that row groups hold what the schema says, and a value a
// row where a column cannot repeat.
func (f *parquetFile) checkCounts() error {
	for g, group := range f.plain.RowGroups() {
		for c, leaf := range f.leaves {
			want := leaf.Type().Kind() // negative for a column of nulls, which may have any type
			if have := f.spans[g][c].kind; want >= 0 && have != format.Type(want) {
				return fmt.Errorf("damaged footer: row group %d has %s in column %q of %s",
					g, have, strings.Join(leaf.Path(), "."), want)
			}
			if n := f.spans[g][c].values; leaf.MaxRepetitionLevel() == 0 && n != group.NumRows() {
				return fmt.Errorf("damaged footer: row group %d has %d rows, and column %q has %d values",
					g, group.NumRows(), strings.Join(leaf.Path(), "."), n)
			}
		}
	}
	return nil
}

func (f *parquetFile) Close() error { return f.file.Close() }

func leafColumns(c *parquet.Column, leaves []*parquet.Column) []*parquet.Column {
	if c.Leaf() {
		return append(leaves, c)
	}
	for _, child := range c.Columns() {
		leaves = leafColumns(child, leaves)
	}
	return leaves
}

// rowGroups returns the file's row groups for reading with parquet-go.
func (f *parquetFile) rowGroups() []parquet.RowGroup {
	groups := make([]parquet.RowGroup, len(f.spans))
	for g, plain := range f.plain.RowGroups() {
		groups[g] = &checkedGroup{RowGroup: plain, file: f, index: g}
	}
	return groups
}

// checkedGroup is a row group whose pages come through pageStream.
type checkedGroup struct {
	parquet.RowGroup // schema and row count
	file             *parquetFile
	index            int
}

func (g *checkedGroup) Rows() parquet.Rows { return parquet.NewRowGroupRowReader(g) }

func (g *checkedGroup) ColumnChunks() []parquet.ColumnChunk {
	chunks := g.RowGroup.ColumnChunks()
	checked := make([]parquet.ColumnChunk, len(chunks))
	for c, chunk := range chunks {
		checked[c] = &checkedChunk{ColumnChunk: chunk, file: g.file, span: g.file.spans[g.index][c]}
	}
	return checked
}

type checkedChunk struct {
	parquet.ColumnChunk
	file *parquetFile
	span chunkSpan
}

func (c *checkedChunk) Pages() parquet.Pages {
	leaf := c.file.leaves[c.Column()]
	stream := newPageStream(c.file.file, c.span, columnLevels{
		name:       strings.Join(leaf.Path(), "."),
		kind:       c.span.kind,
		valueBytes: fixedBytes(leaf),
		maxRep:     leaf.MaxRepetitionLevel(),
		maxDef:     leaf.MaxDefinitionLevel(),
	})
	return c.ColumnChunk.(*parquet.FileColumnChunk).PagesFrom(stream)
}

func fixedBytes(leaf *parquet.Column) int {
	if leaf.Type().Kind() == parquet.FixedLenByteArray {
		return leaf.Type().Length()
	}
	return 0
}

// guard calls f and turns a panic of the decoding below it into an error:
// parquet-go panics on some damaged data that no check of sizes can find, such
// as a dictionary index out of range.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged data: %v", p)
		}
	}()
	err = f()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
