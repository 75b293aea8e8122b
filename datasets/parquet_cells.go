package datasets

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// cell is one value of a row as text.
type cell struct {
	text  string
	state cellState
}

type cellState uint8

const (
	cellText        cellState = iota
	cellNull                  // null
	cellMissing               // the row has no such column (JSON lines)
	cellWrongType             // a list, a struct, or a value with no text form
	cellInvalidUTF8           // text that is not UTF-8
)

// parquetRows walks the rows of one Parquet file, of the wanted columns only.
type parquetRows struct {
	file    *parquetFile
	columns []parquetColumn
	groups  []parquet.RowGroup
	group   int   // the current one, -1 before the first
	left    int64 // rows left in it
	row     int   // of the file, of the next row
}

// parquetColumn is where a wanted column's values come from.
type parquetColumn struct {
	leaf   *parquet.Column // nil if the column is a list or a struct
	text   func(parquet.Value) (string, bool)
	pages  parquet.Pages
	values parquet.ValueReader
	buf    []parquet.Value
	have   []parquet.Value // the unread part of buf
}

// openParquetRows finds the columns by name; a column inside a struct is named
// with dots. A name that the file does not have is an error.
func openParquetRows(path string, names []string) (*parquetRows, error) {
	f, err := openParquet(path)
	if err != nil {
		return nil, err
	}
	r := &parquetRows{file: f, group: -1, groups: f.rowGroups(), columns: make([]parquetColumn, len(names))}
	for i, name := range names {
		leaf, ok := f.lookup(name)
		if !ok {
			f.Close()
			return nil, fmt.Errorf("read %s: no column %q; it has %s", path, name, f.columnNames())
		}
		if leaf != nil {
			r.columns[i] = parquetColumn{leaf: leaf, text: cellFormat(leaf), buf: make([]parquet.Value, readRows)}
		}
	}
	return r, nil
}

// lookup finds a column by its dotted path. The leaf is nil if there is such a
// column and it does not hold one value a row.
func (f *parquetFile) lookup(name string) (leaf *parquet.Column, ok bool) {
	for _, c := range f.leaves {
		path := strings.Join(c.Path(), ".")
		switch {
		case path == name && c.MaxRepetitionLevel() == 0:
			return c, true
		case path == name, strings.HasPrefix(path, name+"."):
			ok = true
		}
	}
	return nil, ok
}

// next reads one row into cells and returns its index in the file, or io.EOF.
func (r *parquetRows) next(cells []cell) (row int, err error) {
	err = guard(func() error { return r.advance() })
	if err != nil || r.group == len(r.groups) {
		if err == nil {
			return r.row, io.EOF
		}
		return r.row, fmt.Errorf("read %s: row %d: %w", r.file.path, r.row, err)
	}
	err = guard(func() error {
		for i := range r.columns {
			if cells[i], err = r.columns[i].next(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return r.row, fmt.Errorf("read %s: row %d: %w", r.file.path, r.row, err)
	}
	r.left--
	r.row++
	return r.row - 1, nil
}

// advance opens the next row group that has rows, if the current one is done.
func (r *parquetRows) advance() error {
	for r.left == 0 && r.group < len(r.groups) {
		r.closePages()
		if r.group++; r.group == len(r.groups) {
			return nil
		}
		r.left = r.groups[r.group].NumRows()
		chunks := r.groups[r.group].ColumnChunks()
		for i := range r.columns {
			if c := &r.columns[i]; c.leaf != nil {
				c.pages, c.values, c.have = chunks[c.leaf.Index()].Pages(), nil, nil
			}
		}
	}
	return nil
}

func (c *parquetColumn) next() (cell, error) {
	if c.leaf == nil {
		return cell{state: cellWrongType}, nil
	}
	for len(c.have) == 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return cell{}, noEOF(err)
			}
			c.values = page.Values()
		}
		n, err := c.values.ReadValues(c.buf)
		c.have = c.buf[:n]
		if err == io.EOF {
			c.values = nil
		} else if err != nil {
			return cell{}, err
		} else if n == 0 {
			return cell{}, io.ErrNoProgress
		}
	}
	v := c.have[0]
	c.have = c.have[1:]
	if v.IsNull() {
		return cell{state: cellNull}, nil
	}
	text, ok := c.text(v)
	if !ok {
		return cell{state: cellWrongType}, nil
	}
	if !utf8.ValidString(text) {
		return cell{state: cellInvalidUTF8}, nil
	}
	return cell{text: text}, nil
}

func (r *parquetRows) closePages() {
	for i := range r.columns {
		if c := &r.columns[i]; c.pages != nil {
			c.pages.Close()
			c.pages = nil
		}
	}
}

func (r *parquetRows) Close() error {
	r.closePages()
	return r.file.Close()
}
