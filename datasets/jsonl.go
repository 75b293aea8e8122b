package datasets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// openJSON opens a file of JSON objects: one a line, or an array of them.
func openJSON(path string, in *textFile, _ []wanted) (rowReader, error) {
	for n := 1; n <= 1024; n++ { // past blank lines
		head, err := in.Peek(n)
		if len(head) < n {
			if err != nil && err != io.EOF {
				return nil, fmt.Errorf("read %s: %w", path, err)
			}
			break
		}
		if c := head[n-1]; c == '[' {
			return newJSONArray(path, in), nil
		} else if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
	}
	return &jsonlRows{path: path, in: in}, nil
}

// jsonlRows walks the rows of a file of JSON objects, one a line.
type jsonlRows struct {
	path string
	in   *textFile
	buf  []byte // a line longer than the reader's buffer
	line int    // of the file, of the line last read, from 1
	row  int    // of the file, of the next row
}

func (r *jsonlRows) Close() error { return r.in.Close() }

// next reads one row. Blank lines are no rows.
func (r *jsonlRows) next(to *row) error {
	for {
		line, err := r.readLine()
		if err == io.EOF {
			return io.EOF
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", r.path, r.line, err)
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		to.index, to.line, to.raw = r.row, r.line, bytes.Clone(line)
		r.row++
		return nil
	}
}

// readLine returns the next line without its end, valid until the next call.
func (r *jsonlRows) readLine() ([]byte, error) {
	r.line++
	r.buf = r.buf[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if err == nil || err == io.EOF {
			if err == io.EOF && len(part)+len(r.buf) == 0 {
				return nil, io.EOF
			}
			if len(r.buf) > 0 {
				r.buf = append(r.buf, part...)
				part = r.buf
			}
			return part, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if len(r.buf)+len(part) > maxRowBytes {
			return nil, fmt.Errorf("a line of more than %d bytes", maxRowBytes)
		}
		r.buf = append(r.buf, part...)
	}
}

// jsonArray walks the elements of a file that is one JSON array.
type jsonArray struct {
	path string
	in   *textFile
	more *rowLimit
	dec  *json.Decoder
	row  int
}

func newJSONArray(path string, in *textFile) *jsonArray {
	r := &jsonArray{path: path, in: in, more: &rowLimit{in: in}}
	r.dec = json.NewDecoder(r.more)
	return r
}

func (r *jsonArray) Close() error { return r.in.Close() }

func (r *jsonArray) next(to *row) error {
	err := r.advance(to)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read %s: row %d: %w", r.path, r.row, err)
	}
	return err
}

func (r *jsonArray) advance(to *row) error {
	if r.row == 0 {
		if _, err := r.dec.Token(); err != nil { // the bracket that openJSON saw
			return noEOF(err)
		}
	}
	r.more.start(r.dec.InputOffset())
	if !r.dec.More() {
		if _, err := r.dec.Token(); err != nil {
			return noEOF(err)
		}
		if _, err := r.dec.Token(); err == nil {
			return errors.New("something follows the JSON array")
		} else if err != io.EOF {
			return err
		}
		return io.EOF
	}
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return fmt.Errorf("bad JSON: %w", noEOF(err))
	}
	if len(raw) > maxRowBytes {
		return errLongRow
	}
	to.index, to.raw = r.row, raw
	r.row++
	return nil
}

var errLongRow = fmt.Errorf("a row of more than %d bytes", maxRowBytes)

// rowLimit ends a reader whose rows are too long to be kept.
type rowLimit struct {
	in         io.Reader
	read, from int64 // bytes read, and where the row began
}

// start says that a row begins at that byte.
func (l *rowLimit) start(at int64) { l.from = at }

func (l *rowLimit) Read(b []byte) (int, error) {
	if l.read-l.from > maxRowBytes {
		return 0, errLongRow
	}
	n, err := l.in.Read(b)
	l.read += int64(n)
	return n, err
}

// objectParser takes JSON objects apart. It notes which keys there were; not
// for concurrent use.
type objectParser struct {
	want []wanted
	seen []bool          // per wanted column: some row has it
	keys map[string]bool // that rows have, for messages
}

// maxKeysSeen bounds the keys remembered for a message.
const maxKeysSeen = 100

func newObjectParser(want []wanted) *objectParser {
	return &objectParser{want: want, seen: make([]bool, len(want)), keys: map[string]bool{}}
}

// parse fills in the cells of a row that has JSON alone.
func (p *objectParser) parse(path string, r *row) error {
	if err := p.object(r); err != nil {
		if r.line > 0 {
			return fmt.Errorf("%s:%d: %w", path, r.line, err)
		}
		return fmt.Errorf("read %s: row %d: %w", path, r.index, err)
	}
	return nil
}

func (p *objectParser) object(r *row) error {
	if r.raw[0] != '{' {
		return errors.New("want a JSON object")
	}
	if !json.Valid(r.raw) {
		var any json.RawMessage
		return fmt.Errorf("bad JSON: %w", json.Unmarshal(r.raw, &any))
	}
	for i := range r.cells {
		r.cells[i].state = cellMissing
	}
	for key, value := range members(r.raw) {
		if len(p.keys) < maxKeysSeen && !p.keys[key] {
			p.keys[key] = true
		}
		for i := range p.want {
			if p.want[i].name == key {
				p.seen[i] = true
				r.cells[i] = jsonCell(value)
			}
		}
	}
	r.raw = nil
	return nil
}

// any tells whether there was an object.
func (p *objectParser) any() bool { return len(p.keys) > 0 }

// merge adds what another parser has seen.
func (p *objectParser) merge(other *objectParser) {
	for i, seen := range other.seen {
		p.seen[i] = p.seen[i] || seen
	}
	for key := range other.keys {
		if len(p.keys) < maxKeysSeen {
			p.keys[key] = true
		}
	}
}

// missing is an error for a column that no row had.
func (p *objectParser) missing(path string) error {
	for i, w := range p.want {
		if !p.seen[i] && !w.optional {
			keys := make([]string, 0, len(p.keys))
			for key := range p.keys {
				keys = append(keys, key)
			}
			return fmt.Errorf("read %s: no column %q; it has %s", path, w.name, nameList(keys))
		}
	}
	return nil
}
