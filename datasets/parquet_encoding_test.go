package datasets

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/format"
)

func uvarints(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func TestCheckRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		data  []byte
		width uint
		most  int
		want  string
	}{
		{"one run", uvarints(10<<1, 3), 2, 10, ""},
		{"a packed group", append(uvarints(1<<1|1), 0xff, 0x00), 2, 8, ""},
		{"padding", append(uvarints(1<<1|1), 0xff, 0x00), 2, 5, ""},
		{"no bits", uvarints(10 << 1), 0, 10, ""},
		{"empty", nil, 1, 0, ""},
		{"a huge run", uvarints(1<<31<<1, 3), 2, 10, "a run of 2147483648"},
		{"a huge group", uvarints(1<<60 | 1), 2, 10, "a run of"},
		{"many runs", bytes.Repeat(uvarints(500<<1, 1), 9), 1, 10, "runs of more than"},
		{"cut in a group", append(uvarints(2<<1|1), 0xff), 2, 16, "ends early"},
		{"cut before the value", uvarints(10 << 1), 2, 10, "ends early"},
		{"cut in a number", []byte{0x80}, 2, 10, "ends early"},
		{"width", nil, 33, 10, "33 bits"},
	} {
		err := checkRuns(c.data, c.width, c.most)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestCountLevels(t *testing.T) {
	// Five ones, then a packed group of 1,0,1,0,1,0,1,0 of which six count.
	data := append(uvarints(5<<1, 1, 1<<1|1), 0b01010101)
	if n, err := countLevels(data, 1, 11, 1); n != 8 || err != nil {
		t.Errorf("got %d, %v, want 8", n, err)
	}
	if _, err := countLevels(data, 1, 14, 1); err == nil {
		t.Error("14 of 13 levels: want an error")
	}
}

func TestDeltaValues(t *testing.T) {
	want := []int32{5, -3, 1000, 1000, 7, 0, -1 << 30, 1 << 30}
	for i := range int32(200) {
		want = append(want, i*i%37)
	}
	data, err := new(delta.BinaryPackedEncoding).EncodeInt32(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	got, rest, err := deltaValues(append(data, "tail"...), len(want), true)
	if err != nil || string(rest) != "tail" {
		t.Fatalf("rest %q, %v", rest, err)
	}
	for i := range want {
		if got[i] != int64(want[i]) {
			t.Fatalf("value %d: got %d, want %d", i, got[i], want[i])
		}
	}
	for n := range data {
		if _, _, err := deltaValues(data[:n], len(want), true); err == nil {
			t.Errorf("cut to %d of %d bytes: want an error", n, len(data))
		}
	}
}

func TestCheckValuesRefuses(t *testing.T) {
	text := columnLevels{kind: format.ByteArray}
	ints := columnLevels{kind: format.Int32}
	lengths := func(values ...int32) []byte {
		b, _ := new(delta.BinaryPackedEncoding).EncodeInt32(nil, values)
		return b
	}
	for _, c := range []struct {
		name   string
		data   []byte
		enc    format.Encoding
		column columnLevels
		n      int
		want   string
	}{
		{"delta count", uvarints(128, 4, 1<<31, 0), format.DeltaBinaryPacked, ints, 10, "2147483648 delta-packed"},
		{"delta blocks", uvarints(0, 4, 10, 0), format.DeltaBinaryPacked, ints, 10, "blocks of 0"},
		{"no mini-blocks", uvarints(128, 0, 10, 0), format.DeltaBinaryPacked, ints, 10, "in 0 parts"},
		{"negative length", append(lengths(3, -2), "abc"...), format.DeltaLengthByteArray, text, 2, "ends early"},
		{"length past the end", append(lengths(3, 9), "abc"...), format.DeltaLengthByteArray, text, 2, "ends early"},
		{"prefix of nothing", append(append(lengths(3, 0), lengths(1, 1)...), "ab"...), format.DeltaByteArray, text, 2, "repeats 3 bytes of one of 0"},
		{"fewer suffixes", append(append(lengths(0, 1), lengths(1)...), "ab"...), format.DeltaByteArray, text, 2, "1 delta-packed"},
		{"plain count", []byte("\x01\x00\x00\x00a"), format.Plain, text, 2, "1 values, and the header claims 2"},
		{"plain length", []byte("\xff\xff\xff\x7fa"), format.Plain, text, 1, "ends early"},
		{"plain numbers", make([]byte, 11), format.Plain, ints, 3, "11 bytes for 3 values"},
		{"split numbers", make([]byte, 11), format.ByteStreamSplit, ints, 3, "11 bytes for 3 values"},
		{"too few indexes", append([]byte{1}, uvarints(3<<1, 1)...), format.RLEDictionary, text, 4, "ends early"},
		{"encoding", nil, 99, text, 1, "not supported"},
		{"data without values", make([]byte, 1000), format.Plain, text, 0, "without values"},
	} {
		err := checkValues(c.data, c.enc, c.column, c.n)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// A prefix as long as the value before it doubles what a few bytes stand for.
func TestPrefixBombIsRefused(t *testing.T) {
	n := 2000
	prefixes, suffixes := make([]int64, n), make([]int64, n)
	suffixes[0] = 1 << 20
	for i := 1; i < n; i++ {
		prefixes[i] = 1 << 20
	}
	if err := checkLengths(prefixes, suffixes, 1<<20); err == nil || !strings.Contains(err.Error(), "in one page") {
		t.Errorf("2 GB of values from 1 MB: got %v", err)
	}
}

func TestUnpack(t *testing.T) {
	page := bytes.Repeat([]byte("a page of some text. "), 50)
	for _, codec := range codecs() {
		id := codec.CompressionCodec()
		packed, err := codec.Encode(nil, page)
		if err != nil {
			t.Fatal(err)
		}
		var d decompressor
		got, err := d.appendPage([]byte("head"), packed, id, len(page))
		if err != nil || string(got) != "head"+string(page) {
			t.Errorf("%s: got %d bytes, %v", id, len(got), err)
		}
		for _, size := range []int{len(page) - 1, len(page) + 1, 1, 8 << 20} {
			var err error
			if n := allocated(func() { _, err = d.appendPage(nil, packed, id, size) }); n > 32<<20 {
				t.Errorf("%s: claiming %d bytes allocated %d MB", id, size, n>>20)
			}
			if err == nil {
				t.Errorf("%s: %d bytes claimed to be %d: want an error", id, len(page), size)
			}
		}
		if _, err := d.appendPage(nil, packed[:len(packed)/2], id, len(page)); err == nil {
			t.Errorf("%s: half of the data: want an error", id)
		}
		d.close()
	}
}

// Sizes inside the compressed data must not be believed either.
func TestUnpackBombs(t *testing.T) {
	zeros, _ := parquet.Gzip.Encode(nil, make([]byte, 16<<20))
	zstdBomb, _ := parquet.Zstd.Encode(nil, make([]byte, 16<<20))
	for _, c := range []struct {
		name  string
		codec format.CompressionCodec
		data  []byte
	}{
		{"snappy that claims 4 GB", format.Snappy, append(uvarints(1<<32-1), make([]byte, 100)...)},
		{"gzip of 16 MB", format.Gzip, zeros},
		{"zstd of 16 MB", format.Zstd, zstdBomb},
		{"zstd that claims 2 GB", format.Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x80, 1, 0, 0}},
		{"lz4 that fills up", format.Lz4Raw, append([]byte{0x1f, 'a', 1, 0}, bytes.Repeat([]byte{0xff}, 1000)...)},
	} {
		var d decompressor
		var err error
		n := allocated(func() { _, err = d.appendPage(nil, c.data, c.codec, 1000) })
		d.close()
		if err == nil || n > 8<<20 {
			t.Errorf("%s: got %v with %d MB", c.name, err, n>>20)
		}
	}
}
