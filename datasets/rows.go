package datasets

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// wanted is a column to read.
type wanted struct {
	name     string
	optional bool // files without it are read
}

// row is one row of a file: its cells, or a JSON object that is yet to be
// taken apart, which many goroutines can do at once.
type row struct {
	index int    // in the file, from 0
	line  int    // where it begins, from 1; 0 where there are no lines
	cells []cell // one for each wanted column
	raw   []byte
}

// bytes is about what the row takes.
func (r *row) bytes() int {
	n := len(r.raw)
	for i := range r.cells {
		n += len(r.cells[i].text)
	}
	return n
}

// rowReader walks one file: a row a call, then io.EOF. It fills in the cells,
// which the caller has made, or raw. Its errors name the file and row or line.
// Not for concurrent use.
type rowReader interface {
	next(r *row) error
	Close() error
}

// maxRowBytes is the longest row of text, a line of JSON say, that is read.
const maxRowBytes = 64 << 20

// rowFormats says how files are read, by extension.
var rowFormats = map[string]func(path string, in *textFile, want []wanted) (rowReader, error){
	".jsonl": openJSON, ".ndjson": openJSON, ".json": openJSON,
	".csv": func(path string, in *textFile, want []wanted) (rowReader, error) { return openCSV(path, in, ',', want) },
	".tsv": func(path string, in *textFile, want []wanted) (rowReader, error) {
		return openCSV(path, in, '\t', want)
	},
}

const extensions = ".parquet, or .jsonl, .ndjson, .json, .csv or .tsv, these with .gz or .zst too"

// openRows opens a file by its extension.
func openRows(ctx context.Context, path string, want []wanted) (rowReader, error) {
	name := strings.ToLower(filepath.Base(path))
	if filepath.Ext(name) == ".parquet" {
		return openParquetRows(path, want)
	}
	packed := filepath.Ext(name)
	if packed == ".gz" || packed == ".zst" {
		name = strings.TrimSuffix(name, packed)
	} else {
		packed = ""
	}
	open, ok := rowFormats[filepath.Ext(name)]
	if !ok {
		return nil, fmt.Errorf("read %s: want a file ending in %s", path, extensions)
	}
	in, err := openText(ctx, path, packed)
	if err != nil {
		return nil, err
	}
	r, err := open(path, in, want)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return r, nil
}

// textFile is a file's text, unpacked and without a byte order mark.
type textFile struct {
	*bufio.Reader
	file *os.File
	zstd *zstd.Decoder
}

// maxZstdWindow bounds what a packed file can make its reader keep.
const maxZstdWindow = 64 << 20

func openText(ctx context.Context, path, packed string) (*textFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err // os names the file
	}
	t := &textFile{file: file}
	var in io.Reader = &watchedReader{ctx, file}
	switch packed {
	case ".gz":
		in, err = gzip.NewReader(bufio.NewReaderSize(in, 64<<10))
	case ".zst":
		t.zstd, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		in = t.zstd
	}
	if err == nil {
		t.Reader = bufio.NewReaderSize(in, 256<<10)
		err = t.skipMark()
	}
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("read %s: %w", path, noEOF(err))
	}
	return t, nil
}

// skipMark skips the byte order mark of UTF-8 and refuses those of UTF-16.
func (t *textFile) skipMark() error {
	head, err := t.Peek(3)
	if err != nil && err != io.EOF {
		return err
	}
	if text := string(head); strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return errors.New("it is UTF-16; want UTF-8")
	} else if text == "\xef\xbb\xbf" {
		_, err = t.Discard(3)
		return err
	}
	return nil
}

func (t *textFile) Close() error {
	if t.zstd != nil {
		t.zstd.Close()
	}
	return t.file.Close()
}

// watchedReader reads until the context ends.
type watchedReader struct {
	ctx context.Context
	r   io.Reader
}

func (w *watchedReader) Read(b []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.r.Read(b)
}
