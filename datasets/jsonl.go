package datasets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxLineBytes is the longest line of JSON that is read.
const maxLineBytes = 64 << 20

// jsonlRows walks the rows of a file of JSON objects, one a line.
type jsonlRows struct {
	path  string
	file  *os.File
	in    *bufio.Reader
	buf   []byte // a line longer than the reader's buffer
	line  int    // of the file, of the line last read, from 1
	row   int    // of the file, of the next row
	names []string
	seen  []bool          // per name: some row has it
	keys  map[string]bool // that the first rows have, for messages
}

// maxKeysSeen bounds the keys remembered for a message.
const maxKeysSeen = 100

func openJSONL(path string, names []string) (*jsonlRows, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err // os names the file
	}
	return &jsonlRows{
		path: path, file: file, in: bufio.NewReaderSize(file, 64<<10),
		names: names, seen: make([]bool, len(names)), keys: map[string]bool{},
	}, nil
}

func (r *jsonlRows) Close() error { return r.file.Close() }

// next reads one row into cells and returns its index in the file, or io.EOF.
// Blank lines are no rows. A line that is not a JSON object is an error with
// file and line.
func (r *jsonlRows) next(cells []cell) (int, error) {
	for {
		line, err := r.readLine()
		if err == io.EOF {
			return r.row, r.end()
		}
		if err != nil {
			return r.row, fmt.Errorf("%s:%d: %w", r.path, r.line, err)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := r.parse(line, cells); err != nil {
			return r.row, fmt.Errorf("%s:%d: %w", r.path, r.line, err)
		}
		r.row++
		return r.row - 1, nil
	}
}

// end is io.EOF, or an error for a column that no row had.
func (r *jsonlRows) end() error {
	for i, name := range r.names {
		if !r.seen[i] && r.row > 0 {
			keys := make([]string, 0, len(r.keys))
			for key := range r.keys {
				keys = append(keys, key)
			}
			return fmt.Errorf("read %s: no column %q; it has %s", r.path, name, nameList(keys))
		}
	}
	return io.EOF
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
			if r.line == 1 {
				part = bytes.TrimPrefix(part, []byte("\xef\xbb\xbf")) // byte order mark
			}
			return part, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if len(r.buf)+len(part) > maxLineBytes {
			return nil, fmt.Errorf("a line of more than %d bytes", maxLineBytes)
		}
		r.buf = append(r.buf, part...)
	}
}

func (r *jsonlRows) parse(line []byte, cells []cell) error {
	if first := bytes.TrimSpace(line)[0]; first != '{' {
		if first == '[' && r.line == 1 {
			return errors.New("it begins a JSON array; want one JSON object a line")
		}
		return errors.New("want a JSON object")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return fmt.Errorf("bad JSON: %w", err)
	}
	for key := range object {
		if len(r.keys) < maxKeysSeen {
			r.keys[key] = true
		}
	}
	for i, name := range r.names {
		raw, ok := object[name]
		if !ok {
			cells[i] = cell{state: cellMissing}
			continue
		}
		r.seen[i] = true
		cells[i] = jsonCell(raw)
	}
	return nil
}

// jsonCell is a JSON value as text: strings decoded, numbers and booleans as
// they are written.
func jsonCell(raw json.RawMessage) cell {
	switch raw[0] {
	case '{', '[':
		return cell{state: cellWrongType}
	case 'n':
		return cell{state: cellNull}
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil || replaced(text, raw) {
			return cell{state: cellInvalidUTF8}
		}
		return cell{text: text}
	}
	return cell{text: string(raw)}
}

// replaced tells whether decoding raw put replacement characters for bytes that
// are not UTF-8, or for halves of surrogate pairs, where raw has none.
func replaced(text string, raw []byte) bool {
	const mark = "\uFFFD"
	written := bytes.Count(raw, []byte(mark)) + bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`))
	return strings.Count(text, mark) > written
}
