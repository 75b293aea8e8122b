package datasets

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
)

// csvRows walks the rows of a file of values with separators, after RFC 4180:
// the first row names the columns; a value in quotes may hold separators, line
// ends and doubled quotes. Line ends of \r\n are read as \n.
type csvRows struct {
	path   string
	in     *textFile
	more   *rowLimit
	csv    *csv.Reader
	fields []int // per wanted column, its place in a row; -1 if the file lacks it
	row    int
}

func openCSV(path string, in *textFile, separator rune, want []wanted) (rowReader, error) {
	r := &csvRows{path: path, in: in, more: &rowLimit{in: in}, fields: make([]int, len(want))}
	r.csv = csv.NewReader(r.more)
	r.csv.Comma, r.csv.ReuseRecord = separator, true
	header, err := r.csv.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("read %s: it is empty: want a row with the names of the columns", path)
	}
	if err != nil {
		return nil, r.fail(err)
	}
	for i, w := range want {
		r.fields[i] = slices.Index(header, w.name)
		switch {
		case r.fields[i] < 0 && !w.optional:
			return nil, fmt.Errorf("read %s: no column %q; it has %s", path, w.name, nameList(header))
		case r.fields[i] >= 0 && slices.Contains(header[r.fields[i]+1:], w.name):
			return nil, fmt.Errorf("read %s: two columns are called %q", path, w.name)
		}
	}
	return r, nil
}

func (r *csvRows) Close() error { return r.in.Close() }

// fail is err with the file and the line.
func (r *csvRows) fail(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("%s:%d: %w", r.path, p.Line, p.Err)
	}
	return fmt.Errorf("read %s: row %d: %w", r.path, r.row, err)
}

// next reads one row. The cells of one that has more or fewer values than the
// header are cellRagged.
func (r *csvRows) next(to *row) error {
	r.more.start(r.csv.InputOffset())
	record, err := r.csv.Read()
	if err == io.EOF {
		return io.EOF
	}
	to.index = r.row
	if errors.Is(err, csv.ErrFieldCount) {
		record, err = nil, nil
	}
	if err != nil {
		return r.fail(err)
	}
	to.line, _ = r.csv.FieldPos(0)
	r.row++
	for i, field := range r.fields {
		switch {
		case record == nil:
			to.cells[i].state = cellRagged
		case field < 0:
			to.cells[i].state = cellMissing
		default:
			to.cells[i] = textCell(record[field])
		}
	}
	return nil
}
