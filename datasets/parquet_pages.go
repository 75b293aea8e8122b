package datasets

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// DuckDB, the writer of the largest pages seen, ends a page at 100 MB.
	maxPageBytes  = 128 << 20
	maxPageValues = 1 << 24
	maxPageHeader = 4 << 20 // some writers put whole values into its statistics
	firstHeaderIO = 4 << 10
)

// pageStream gives the pages of one column chunk to parquet-go: read, checked
// against the sizes of the file and of the chunk, unpacked, and with headers
// that say so. It implements io.ReaderAt for a reader that goes forward, or
// back to 0. Not for concurrent use.
type pageStream struct {
	file   io.ReaderAt
	chunk  chunkSpan
	column columnLevels
	unpack decompressor

	next   int64 // file offset of the next page header
	values int64 // in the data pages so far
	pages  int   // served so far

	start   int64  // offset in the stream of the bytes in pending
	pending []byte // one page, header and data
}

// columnLevels is what the pages of a column say about nesting.
type columnLevels struct {
	name       string // dotted path
	kind       format.Type
	valueBytes int // of a fixed-length value; 0 for the others
	maxRep     int // repetition level
	maxDef     int // definition level
}

// width is the bytes of a value that always takes the same.
func (c columnLevels) width() int {
	switch c.kind {
	case format.Int32, format.Float:
		return 4
	case format.Int64, format.Double:
		return 8
	case format.Int96:
		return 12
	}
	return c.valueBytes
}

func newPageStream(file io.ReaderAt, chunk chunkSpan, column columnLevels) *pageStream {
	return &pageStream{file: file, chunk: chunk, column: column, next: chunk.start}
}

// ReadAt implements io.ReaderAt.
func (s *pageStream) ReadAt(p []byte, off int64) (int, error) {
	if off == 0 && s.start > 0 {
		*s = pageStream{file: s.file, chunk: s.chunk, column: s.column, unpack: s.unpack, next: s.chunk.start}
	}
	if off < s.start {
		return 0, errors.New("pages are read in order only")
	}
	done := 0
	for done < len(p) {
		at := off + int64(done) - s.start
		if at >= int64(len(s.pending)) {
			s.start += int64(len(s.pending))
			s.pending = s.pending[:0]
			if err := s.nextPage(); err != nil {
				return done, err
			}
			continue
		}
		done += copy(p[done:], s.pending[at:])
	}
	return done, nil
}

// nextPage puts the next page into pending; io.EOF follows the last.
func (s *pageStream) nextPage() error {
	if s.values >= s.chunk.values {
		s.unpack.close()
		return io.EOF
	}
	err := s.readPage()
	if err != nil {
		s.unpack.close()
		return fmt.Errorf("column %q: page %d at byte %d: %w", s.column.name, s.pages, s.next, err)
	}
	s.pages++
	return nil
}

func (s *pageStream) readPage() error {
	header, size, err := s.readHeader()
	if err != nil {
		return err
	}
	end := s.chunk.start + s.chunk.size
	packed, unpacked := int64(header.CompressedPageSize), int(header.UncompressedPageSize)
	if packed < 0 || packed > end-s.next-size || packed > maxPageBytes || unpacked < 0 || unpacked > maxPageBytes {
		return fmt.Errorf("it claims %d bytes, unpacked %d, and the column chunk has %d left", packed, unpacked, end-s.next-size)
	}
	data := make([]byte, packed)
	if _, err := s.file.ReadAt(data, s.next+size); err != nil {
		return noEOF(err)
	}
	if header.CRC != 0 && crc32.ChecksumIEEE(data) != uint32(header.CRC) {
		return errors.New("its checksum does not fit its data")
	}
	data, err = s.unpackPage(header, data)
	if err != nil {
		return err
	}
	s.next += size + packed
	return s.serve(header, data)
}

// readHeader decodes the page header at next and returns the bytes it takes.
// How many those are shows only in reading it, hence the growing window.
func (s *pageStream) readHeader() (*format.PageHeader, int64, error) {
	left := s.chunk.start + s.chunk.size - s.next
	if left <= 0 {
		return nil, 0, fmt.Errorf("the column chunk ends after %d of %d values", s.values, s.chunk.values)
	}
	for window := int64(firstHeaderIO); ; window *= 8 {
		buf := make([]byte, min(window, left, maxPageHeader))
		if _, err := s.file.ReadAt(buf, s.next); err != nil {
			return nil, 0, noEOF(err)
		}
		n, err := thriftStructLen(buf)
		if errors.Is(err, errThriftShort) && window < left && window < maxPageHeader {
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("damaged header: %w", err)
		}
		header := new(format.PageHeader)
		if err := thrift.Unmarshal(new(thrift.CompactProtocol), buf[:n], header); err != nil {
			return nil, 0, fmt.Errorf("damaged header: %w", err)
		}
		return header, int64(n), nil
	}
}

// unpackPage returns the page's data uncompressed, with every count in it
// checked, and clears from the header what no longer holds.
func (s *pageStream) unpackPage(h *format.PageHeader, data []byte) ([]byte, error) {
	switch h.Type {
	case format.DictionaryPage:
		if !h.DictionaryPageHeader.Valid || s.values > 0 {
			return nil, errors.New("a dictionary page without header or behind its data")
		}
		return s.unpackDictionary(&h.DictionaryPageHeader.V, data, int(h.UncompressedPageSize))
	case format.DataPage:
		if !h.DataPageHeader.Valid {
			return nil, errors.New("a data page without header")
		}
		v := &h.DataPageHeader.V
		v.Statistics = format.Statistics{}
		if err := s.count(v.NumValues, 0); err != nil {
			return nil, err
		}
		return s.unpackV1(v, data, int(h.UncompressedPageSize))
	case format.DataPageV2:
		if !h.DataPageHeaderV2.Valid {
			return nil, errors.New("a data page without header")
		}
		v := &h.DataPageHeaderV2.V
		v.Statistics = format.Statistics{}
		if err := s.count(v.NumValues, v.NumNulls); err != nil {
			return nil, err
		}
		return s.unpackV2(v, data, int(h.UncompressedPageSize))
	}
	return nil, fmt.Errorf("unknown page type %d", h.Type)
}

// count adds a data page's values to the chunk's.
func (s *pageStream) count(values, nulls int32) error {
	if values < 0 || values > maxPageValues || int64(values) > s.chunk.values-s.values || nulls < 0 || nulls > values {
		return fmt.Errorf("it claims %d values, %d of them null, and the column chunk has %d left", values, nulls, s.chunk.values-s.values)
	}
	s.values += int64(values)
	return nil
}

func (s *pageStream) unpackDictionary(h *format.DictionaryPageHeader, data []byte, size int) ([]byte, error) {
	data, err := s.unpack.appendPage(nil, data, s.chunk.codec, size)
	if err != nil {
		return nil, err
	}
	if s.column.kind == format.Boolean || h.Encoding != format.Plain && h.Encoding != format.PlainDictionary {
		return nil, fmt.Errorf("a dictionary of %s with encoding %s", s.column.kind, h.Encoding)
	}
	if h.NumValues < 0 || int(h.NumValues) > len(data) {
		return nil, fmt.Errorf("a dictionary of %d values in %d bytes", h.NumValues, len(data))
	}
	return data, checkPlain(data, s.column, int(h.NumValues))
}

func (s *pageStream) unpackV1(h *format.DataPageHeader, data []byte, size int) ([]byte, error) {
	data, err := s.unpack.appendPage(nil, data, s.chunk.codec, size)
	if err != nil {
		return nil, err
	}
	rest, want := data, int(h.NumValues)
	if s.column.maxRep > 0 {
		if h.RepetitionLevelEncoding != format.RLE {
			return nil, fmt.Errorf("levels with encoding %s are not supported", h.RepetitionLevelEncoding)
		}
		if rest, err = checkPrefixedRuns(rest, levelBits(s.column.maxRep), want); err != nil {
			return nil, fmt.Errorf("repetition levels: %w", err)
		}
	}
	if s.column.maxDef > 0 {
		if h.DefinitionLevelEncoding != format.RLE {
			return nil, fmt.Errorf("levels with encoding %s are not supported", h.DefinitionLevelEncoding)
		}
		levels := rest
		if rest, err = checkPrefixedRuns(rest, levelBits(s.column.maxDef), want); err != nil {
			return nil, fmt.Errorf("definition levels: %w", err)
		}
		levels = levels[4 : len(levels)-len(rest)]
		if want, err = countLevels(levels, levelBits(s.column.maxDef), want, uint64(s.column.maxDef)); err != nil {
			return nil, fmt.Errorf("definition levels: %w", err)
		}
	}
	return data, checkValues(rest, h.Encoding, s.column, want)
}

func (s *pageStream) unpackV2(h *format.DataPageHeaderV2, data []byte, size int) ([]byte, error) {
	rep, def := int64(h.RepetitionLevelsByteLength), int64(h.DefinitionLevelsByteLength)
	levels := rep + def
	if rep < 0 || def < 0 || levels > int64(len(data)) || levels > int64(size) {
		return nil, fmt.Errorf("levels of %d+%d bytes in a page of %d", rep, def, len(data))
	}
	if err := s.checkLevelsV2(h, data[:rep], data[rep:levels]); err != nil {
		return nil, err
	}
	codec := s.chunk.codec
	if h.IsCompressed.Valid && !h.IsCompressed.V {
		codec = format.Uncompressed
	}
	out := append(make([]byte, 0, size), data[:levels]...)
	out, err := s.unpack.appendPage(out, data[levels:], codec, size-int(levels))
	if err != nil {
		return nil, err
	}
	return out, checkValues(out[levels:], h.Encoding, s.column, int(h.NumValues-h.NumNulls))
}

func (s *pageStream) checkLevelsV2(h *format.DataPageHeaderV2, rep, def []byte) error {
	n := int(h.NumValues)
	if s.column.maxRep > 0 {
		if err := checkRuns(rep, levelBits(s.column.maxRep), n); err != nil {
			return fmt.Errorf("repetition levels: %w", err)
		}
	}
	if s.column.maxDef == 0 {
		return nil
	}
	width := levelBits(s.column.maxDef)
	if err := checkRuns(def, width, n); err != nil {
		return fmt.Errorf("definition levels: %w", err)
	}
	present, err := countLevels(def, width, n, uint64(s.column.maxDef))
	if err != nil {
		return fmt.Errorf("definition levels: %w", err)
	}
	if present != n-int(h.NumNulls) {
		return fmt.Errorf("%d of %d values are there, and the header claims %d nulls", present, n, h.NumNulls)
	}
	return nil
}

// serve makes header and data the pending bytes of the stream.
func (s *pageStream) serve(h *format.PageHeader, data []byte) error {
	h.CompressedPageSize, h.UncompressedPageSize = int32(len(data)), int32(len(data))
	h.CRC = 0
	head, err := thrift.Marshal(new(thrift.CompactProtocol), *h)
	if err != nil {
		return err
	}
	s.pending = append(append(s.pending[:0], head...), data...)
	return nil
}

func levelBits(level int) uint { return uint(bits.Len(uint(level))) }

// noEOF keeps a short read from looking like the regular end of the data.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
