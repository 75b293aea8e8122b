package datasets

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
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

// parquetColumn is where a wanted column's values come from: the leaves of a
// tree, of one leaf if the column is flat. A column that the file lacks has none.
type parquetColumn struct {
	node   *parquetNode
	leaves []*leafReader
	inside bool // it is a part of a list's elements
}

// openParquetRows finds the columns by name; a column inside a struct is named
// with dots. A name that the file does not have is an error.
func openParquetRows(path string, want []wanted) (*parquetRows, error) {
	f, err := openParquet(path)
	if err != nil {
		return nil, err
	}
	r := &parquetRows{file: f, group: -1, groups: f.rowGroups(), columns: make([]parquetColumn, len(want))}
	for i, w := range want {
		column, ok := f.find(w.name)
		if !ok && !w.optional {
			f.Close()
			return nil, fmt.Errorf("read %s: no column %q; it has %s", path, w.name, f.columnNames())
		}
		if ok {
			r.columns[i] = f.column(column)
		}
	}
	return r, nil
}

// next reads one row.
func (r *parquetRows) next(to *row) error {
	to.index = r.row
	err := guard(func() error { return r.advance() })
	if err == nil && r.group == len(r.groups) {
		return io.EOF
	}
	if err == nil {
		err = guard(func() (err error) {
			for i := range r.columns {
				if to.cells[i], err = r.columns[i].next(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("read %s: row %d: %w", r.file.path, r.row, err)
	}
	r.left--
	r.row++
	return nil
}

// advance opens the next row group that has rows, if the current one is done.
func (r *parquetRows) advance() error {
	for r.left == 0 && r.group < len(r.groups) {
		if err := r.closePages(); err != nil {
			return err
		}
		if r.group++; r.group == len(r.groups) {
			return nil
		}
		r.left = r.groups[r.group].NumRows()
		chunks := r.groups[r.group].ColumnChunks()
		for i := range r.columns {
			for _, leaf := range r.columns[i].leaves {
				leaf.open(chunks[leaf.column.Index()])
			}
		}
	}
	return nil
}

// closePages closes the pages of a row group that was read to its end.
func (r *parquetRows) closePages() error {
	for i := range r.columns {
		for _, leaf := range r.columns[i].leaves {
			if err := leaf.close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *parquetRows) Close() error {
	for i := range r.columns {
		for _, leaf := range r.columns[i].leaves {
			leaf.closePages()
		}
	}
	return r.file.Close()
}

// next is the column's value in the next row.
func (c *parquetColumn) next() (cell, error) {
	switch {
	case c.node == nil:
		return cell{state: cellMissing}, nil
	case c.inside || len(c.leaves) == 0:
		return cell{state: cellWrongType}, nil
	case c.node.flat():
		return c.leaves[0].cell(c.node)
	}
	for _, leaf := range c.leaves {
		if err := leaf.readRow(); err != nil {
			return cell{}, err
		}
	}
	w := nestedWriter{leaves: c.leaves}
	if err := w.value(c.node); err != nil {
		return cell{}, err
	}
	for _, leaf := range c.leaves {
		if leaf.at != len(leaf.row) {
			return cell{}, errors.New("damaged data: columns of one list have different lengths")
		}
	}
	if string(w.out) == "null" {
		return cell{state: cellNull}, nil
	}
	out := textCell(string(w.out))
	if out.state == cellText {
		out.state = cellJSON
	}
	if w.formless {
		out = cell{state: cellWrongType}
	}
	return out, nil
}

// leafReader gives the values of a leaf column in order.
type leafReader struct {
	column *parquet.Column
	pages  parquet.Pages
	values parquet.ValueReader
	buf    []parquet.Value
	have   []parquet.Value // the unread part of buf

	row   []parquet.Value // of one row, if the column repeats
	at    int             // the first of them that is not used yet
	bytes int             // of them
	first bool            // no value of the row group has been read
}

func (l *leafReader) open(chunk parquet.ColumnChunk) {
	if l.buf == nil {
		l.buf = make([]parquet.Value, readRows)
	}
	l.pages, l.values, l.have, l.row, l.at, l.first = chunk.Pages(), nil, nil, l.row[:0], 0, true
}

func (l *leafReader) closePages() {
	if l.pages != nil {
		l.pages.Close()
		l.pages = nil
	}
}

// close closes the pages; values that no row has are an error.
func (l *leafReader) close() error {
	if l.pages == nil {
		return nil
	}
	defer l.closePages()
	if len(l.have) > 0 && l.column.MaxRepetitionLevel() > 0 {
		return errors.New("damaged data: more values than rows")
	}
	return nil
}

// fill reads values if none is left. It is io.EOF after the last.
func (l *leafReader) fill() error {
	for len(l.have) == 0 {
		if l.values == nil {
			l.keep()
			page, err := l.pages.ReadPage()
			if err != nil {
				return err
			}
			l.values = page.Values()
		}
		n, err := l.values.ReadValues(l.buf)
		l.have = l.buf[:n]
		if err == io.EOF {
			l.values = nil
		} else if err != nil {
			return err
		} else if n == 0 {
			return io.ErrNoProgress
		}
	}
	return nil
}

// keep copies the values of an unfinished row out of the page, which is reused.
func (l *leafReader) keep() {
	for i := l.at; i < len(l.row); i++ {
		l.row[i] = l.row[i].Clone()
	}
}

// cell is the next value of a column that does not repeat.
func (l *leafReader) cell(node *parquetNode) (cell, error) {
	if err := l.fill(); err != nil {
		return cell{}, noEOF(err)
	}
	v := l.have[0]
	l.have = l.have[1:]
	if v.IsNull() {
		return cell{state: cellNull}, nil
	}
	text, ok := node.text(v)
	if !ok {
		return cell{state: cellWrongType}, nil
	}
	c := textCell(text)
	c.number = node.number
	return c, nil
}

// readRow puts the values of the next row into row.
func (l *leafReader) readRow() error {
	l.row, l.at, l.bytes = l.row[:0], 0, 0
	for {
		err := l.fill()
		if err == io.EOF && len(l.row) > 0 {
			return nil
		}
		if err != nil {
			return noEOF(err)
		}
		v := l.have[0]
		if (v.RepetitionLevel() == 0) != (len(l.row) == 0) {
			if v.RepetitionLevel() == 0 {
				return nil
			}
			return errors.New("damaged data: a row begins inside a list")
		}
		if l.bytes += 16; v.Kind() == parquet.ByteArray {
			l.bytes += len(v.ByteArray())
		}
		if l.bytes > maxRowBytes {
			return errLongRow
		}
		l.row, l.have = append(l.row, v), l.have[1:]
	}
}

// peek is the next value of the row; there is one.
func (l *leafReader) peek() parquet.Value { return l.row[l.at] }
