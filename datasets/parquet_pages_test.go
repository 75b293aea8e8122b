package datasets

import (
	"bytes"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// optionalInts is a column of optional 32-bit numbers.
var optionalInts = columnLevels{name: "n", kind: format.Int32, maxDef: 1}

// pageV2 is a page of four optional numbers, of which the second is null.
func pageV2() (format.PageHeader, []byte) {
	levels := append(uvarints(1<<1|1), 0b1101)
	data := append(levels, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0)
	return format.PageHeader{
		Type: format.DataPageV2, UncompressedPageSize: int32(len(data)), CompressedPageSize: int32(len(data)),
		DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
			NumValues: 4, NumNulls: 1, NumRows: 4, Encoding: format.Plain, DefinitionLevelsByteLength: int32(len(levels)),
		}),
	}, data
}

// pageV1 is the same page in the older layout.
func pageV1() (format.PageHeader, []byte) {
	data := []byte{2, 0, 0, 0, 1<<1 | 1, 0b1101, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0}
	return format.PageHeader{
		Type: format.DataPage, UncompressedPageSize: int32(len(data)), CompressedPageSize: int32(len(data)),
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: 4, Encoding: format.Plain, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	}, data
}

// streamOf reads a chunk of one page through its checks.
func streamOf(t *testing.T, h format.PageHeader, data []byte, values int64) ([]byte, error) {
	t.Helper()
	head, err := thrift.Marshal(new(thrift.CompactProtocol), h)
	if err != nil {
		t.Fatal(err)
	}
	image := append(append([]byte("PAR1"), head...), data...)
	span := chunkSpan{start: 4, size: int64(len(image) - 4), values: values, codec: format.Uncompressed, kind: format.Int32}
	return io.ReadAll(io.NewSectionReader(newPageStream(bytes.NewReader(image), span, optionalInts), 0, 1<<40))
}

func TestPageStreamServesGoodPages(t *testing.T) {
	for name, page := range map[string]func() (format.PageHeader, []byte){"v1": pageV1, "v2": pageV2} {
		h, data := page()
		h.CRC = int32(crc32.ChecksumIEEE(data))
		got, err := streamOf(t, h, data, 4)
		if err != nil || !bytes.HasSuffix(got, data) {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
	}
}

func TestPageStreamReadsAgainFromTheStart(t *testing.T) {
	h, data := pageV2()
	head, _ := thrift.Marshal(new(thrift.CompactProtocol), h)
	image := append(append([]byte("PAR1"), head...), data...)
	s := newPageStream(bytes.NewReader(image), chunkSpan{start: 4, size: int64(len(image) - 4), values: 4}, optionalInts)
	var texts [2][]byte
	for i := range texts {
		texts[i], _ = io.ReadAll(io.NewSectionReader(s, 0, 1<<40))
	}
	if len(texts[0]) == 0 || !bytes.Equal(texts[0], texts[1]) {
		t.Errorf("first %x, then %x", texts[0], texts[1])
	}
}

func TestPageStreamRefuses(t *testing.T) {
	type edit func(h *format.PageHeader, data *[]byte)
	for _, c := range []struct {
		name   string
		page   func() (format.PageHeader, []byte)
		values int64
		edit   edit
		want   string
	}{
		{"packed size", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.CompressedPageSize = 1 << 30 }, "claims 1073741824 bytes"},
		{"negative size", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.CompressedPageSize = -1 }, "claims -1 bytes"},
		{"unpacked size", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.UncompressedPageSize = 1 << 30 }, "unpacked 1073741824"},
		{"other unpacked size", pageV1, 4, func(h *format.PageHeader, _ *[]byte) { h.UncompressedPageSize++ }, "the header claims 19"},
		{"values", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.DataPageHeaderV2.V.NumValues = 5 }, "claims 5 values"},
		{"values of a huge page", pageV1, 1 << 40, func(h *format.PageHeader, _ *[]byte) { h.DataPageHeader.V.NumValues = 1 << 30 }, "claims 1073741824 values"},
		{"nulls", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.DataPageHeaderV2.V.NumNulls = 2 }, "3 of 4 values are there"},
		{"more nulls than values", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.DataPageHeaderV2.V.NumNulls = 9 }, "9 of them null"},
		{"negative nulls", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.DataPageHeaderV2.V.NumNulls = -1 }, "-1 of them null"},
		{"level bytes", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.DataPageHeaderV2.V.DefinitionLevelsByteLength = 99 }, "levels of 0+99 bytes"},
		{"negative level bytes", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.DataPageHeaderV2.V.RepetitionLevelsByteLength = -2 }, "levels of -2+2 bytes"},
		{"level encoding", pageV1, 4, func(h *format.PageHeader, _ *[]byte) {
			h.DataPageHeader.V.DefinitionLevelEncoding = format.BitPacked
		}, "levels with encoding BIT_PACKED"},
		{"level length", pageV1, 4, func(_ *format.PageHeader, d *[]byte) { (*d)[3] = 0x7f }, "definition levels: the page's data ends early"},
		{"fewer values than levels", pageV1, 4, func(_ *format.PageHeader, d *[]byte) { (*d)[5] = 0b1111 }, "12 bytes for 4 values"},
		{"checksum", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.CRC = 1 }, "checksum"},
		{"no header of its type", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.Type = format.DataPage }, "without header"},
		{"type", pageV2, 4, func(h *format.PageHeader, _ *[]byte) { h.Type = 9 }, "unknown page type 9"},
		{"pages missing", pageV2, 9, func(*format.PageHeader, *[]byte) {}, "ends after 4 of 9 values"},
		{"dictionary size", pageV2, 4, func(h *format.PageHeader, _ *[]byte) {
			h.Type = format.DictionaryPage
			h.DictionaryPageHeader = thrift.New(format.DictionaryPageHeader{NumValues: 1 << 30})
		}, "a dictionary of 1073741824 values"},
	} {
		h, data := c.page()
		c.edit(&h, &data)
		var err error
		if n := allocated(func() { _, err = streamOf(t, h, data, c.values) }); n > 1<<20 {
			t.Errorf("%s: allocated %d bytes", c.name, n)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `column "n"`) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// A header longer than the first look at it, and one longer than any.
func TestLongPageHeaders(t *testing.T) {
	h, data := pageV1()
	h.DataPageHeader.V.Statistics.MinValue = make([]byte, 100<<10)
	if _, err := streamOf(t, h, data, 4); err != nil {
		t.Errorf("100 kB of statistics: %v", err)
	}
	h.DataPageHeader.V.Statistics.MinValue = make([]byte, 5<<20)
	if _, err := streamOf(t, h, data, 4); err == nil || !strings.Contains(err.Error(), "damaged header") {
		t.Errorf("5 MB of statistics: got %v", err)
	}
}

func TestThriftStructLen(t *testing.T) {
	h, _ := pageV1()
	head, _ := thrift.Marshal(new(thrift.CompactProtocol), h)
	if n, err := thriftStructLen(append(bytes.Clone(head), "tail"...)); n != len(head) || err != nil {
		t.Errorf("got %d, %v, want %d", n, err, len(head))
	}
	for n := range head {
		if _, err := thriftStructLen(head[:n]); err != errThriftShort {
			t.Errorf("cut to %d of %d bytes: got %v", n, len(head), err)
		}
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"every type", []byte{0x11, 0x12, 0x13, 7, 0x14, 2, 0x15, 2, 0x16, 2, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x18, 1, 'a',
			0x19, 0x13, 1, 0x1a, 0x11, 1, 0x1b, 1, 0x38, 5, 1, 'v', 0x1c, 0, 0}, ""},
		{"an empty map", []byte{0x1b, 0, 0}, ""},
		{"a long field id", []byte{0x05, 0x80, 0x01, 2, 0}, ""},
		{"unknown type", []byte{0x1e}, "unknown field type 14"},
		{"a map longer than the data", []byte{0x1b, 0xff, 0x7f, 0x33, 1}, "ends in the middle"},
		{"maps in maps", append([]byte{0x1b}, bytes.Repeat([]byte{1, 0x3b, 5}, 40)...), "nested more than"},
	} {
		n, err := thriftStructLen(c.data)
		if c.want == "" && (err != nil || n != len(c.data)) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %d of %d bytes, %v, want %q", c.name, n, len(c.data), err, c.want)
		}
	}
}
