package datasets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// mixedRow has a column of every kind and encoding that a page check knows.
type mixedRow struct {
	Text  string   `parquet:"text,dict"`
	Delta string   `parquet:"delta,delta"`
	Plain string   `parquet:"plain,plain"`
	Label *string  `parquet:"label,optional"`
	N     int64    `parquet:"n,delta"`
	F     float64  `parquet:"f,split"`
	B     bool     `parquet:"b"`
	Tags  []string `parquet:"tags,list"`
}

func mixedRows(n int) []mixedRow {
	rows := make([]mixedRow, n)
	for i := range rows {
		label := fmt.Sprintf("label %d", i%5)
		rows[i] = mixedRow{
			Text: fmt.Sprintf("row %d of many", i%7), Delta: fmt.Sprintf("delta %d", i),
			Plain: fmt.Sprint("plain ", i*i), N: int64(i * i), F: float64(i) / 3, B: i%3 == 0, Tags: []string{},
		}
		if i%4 != 0 {
			rows[i].Label = &label
		}
		for k := range i % 3 {
			rows[i].Tags = append(rows[i].Tags, fmt.Sprint("tag", k))
		}
	}
	return rows
}

// mixedFile is a file of n rows in small pages and row groups.
func mixedFile(t testing.TB, n int, codec compress.Codec, version int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[mixedRow](&out, parquet.Compression(codec), parquet.DataPageVersion(version),
		parquet.PageBufferSize(400), parquet.MaxRowsPerRowGroup(64))
	if _, err := w.Write(mixedRows(n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func codecs() []compress.Codec {
	return []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd, &parquet.Lz4Raw}
}

// readEverything reads every leaf of every row group, lists too.
func readEverything(path string) (values int, err error) {
	f, err := openParquet(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	err = guard(func() error {
		for _, group := range f.rowGroups() {
			for _, chunk := range group.ColumnChunks() {
				n, err := readChunk(chunk)
				if values += n; err != nil {
					return err
				}
			}
		}
		return nil
	})
	return values, err
}

func readChunk(chunk parquet.ColumnChunk) (values int, err error) {
	pages := chunk.Pages()
	defer pages.Close()
	buf := make([]parquet.Value, 100)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return values, nil
		}
		if err != nil {
			return values, err
		}
		for in := page.Values(); err == nil; {
			var n int
			n, err = in.ReadValues(buf)
			values += n
		}
		if err != io.EOF {
			return values, err
		}
	}
}

// allocated calls f and returns the bytes it allocated.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// mustSurvive reads a damaged file in every way and checks the memory used; a
// panic fails the test by itself. It returns the error of reading it whole.
func mustSurvive(t *testing.T, name, path string) (err error) {
	t.Helper()
	const most = 100 << 20
	if n := allocated(func() { _, err = readEverything(path) }); n > most {
		t.Errorf("%s: reading it allocated %d MB (%v)", name, n>>20, err)
	}
	if n := allocated(func() { _, _ = ReadParquet[mixedRow](path) }); n > most {
		t.Errorf("%s: reading it as rows allocated %d MB", name, n>>20)
	}
	return err
}

func TestEveryCodecAndPageVersionReads(t *testing.T) {
	for _, codec := range codecs() {
		for _, version := range []int{1, 2} {
			name := fmt.Sprintf("%s v%d", codec, version)
			path := filepath.Join(t.TempDir(), "good.parquet")
			if err := os.WriteFile(path, mixedFile(t, 150, codec, version), 0o600); err != nil {
				t.Fatal(err)
			}
			rows, err := ReadParquet[mixedRow](path)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, want := range mixedRows(150) {
				got := rows[i]
				same := got.Text == want.Text && got.Delta == want.Delta && got.Plain == want.Plain && got.N == want.N &&
					got.F == want.F && got.B == want.B && fmt.Sprint(got.Tags) == fmt.Sprint(want.Tags) &&
					(got.Label == nil) == (want.Label == nil) && (got.Label == nil || *got.Label == *want.Label)
				if !same {
					t.Errorf("%s: row %d: got %+v, want %+v", name, i, got, want)
					break
				}
			}
		}
	}
}

func TestDamagedFixtures(t *testing.T) {
	// "" means that the data can be read, and is right.
	for name, want := range map[string]string{
		"ARROW-GH-41317.parquet":              "unknown page type 1",
		"ARROW-GH-41321.parquet":              "data ends early",
		"ARROW-GH-43605.parquet":              "",
		"ARROW-GH-45185.parquet":              "",
		"ARROW-GH-47662.parquet":              "bytes for 100 values",
		"ARROW-RS-GH-6229-DICTHEADER.parquet": "damaged footer",
		"ARROW-RS-GH-6229-LEVELS.parquet":     "claims 21 values",
		"PARQUET-1481.parquet":                "unknown type -7",
	} {
		t.Run(name, func(t *testing.T) {
			path := shared(t, filepath.Join("fixtures", "parquet-bad", name))
			err := mustSurvive(t, name, path)
			if want == "" && err != nil {
				t.Errorf("got %v, want data", err)
			}
			if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// shared is the path of a file that a clone of the project may lack.
func shared(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s", path)
	}
	return path
}

func TestTruncatedFiles(t *testing.T) {
	good := mixedFile(t, 100, &parquet.Snappy, 2)
	path := filepath.Join(t.TempDir(), "cut.parquet")
	for n := 0; n < len(good); n += 97 {
		if err := os.WriteFile(path, good[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		err := mustSurvive(t, fmt.Sprintf("cut to %d bytes", n), path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("cut to %d bytes: got %v, want an error naming the file", n, err)
		}
	}
}

// Single bits, and whole bytes where a size is likely, in every kind of file.
func TestFlippedBits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "bad.parquet")
	for _, codec := range codecs() {
		for _, version := range []int{1, 2} {
			good := mixedFile(t, 100, codec, version)
			for range 15 {
				bad := bytes.Clone(good)
				at := random.IntN(len(bad))
				bad[at] ^= byte(1 << random.IntN(8))
				if random.IntN(4) == 0 {
					bad[at] = 0xff
				}
				if err := os.WriteFile(path, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				mustSurvive(t, fmt.Sprintf("%s v%d byte %d", codec, version, at), path)
			}
		}
	}
}

// withFooter is a file of the given data pages whose metadata edit has changed.
func withFooter(t *testing.T, edit func(*format.FileMetaData)) string {
	t.Helper()
	good := mixedFile(t, 100, &parquet.Snappy, 1)
	n := int(binary.LittleEndian.Uint32(good[len(good)-8:]))
	meta := new(format.FileMetaData)
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), good[len(good)-8-n:len(good)-8], meta); err != nil {
		t.Fatal(err)
	}
	edit(meta)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), *meta)
	if err != nil {
		t.Fatal(err)
	}
	return writeImage(t, good[:len(good)-8-n], footer)
}

func writeImage(t *testing.T, body, footer []byte) string {
	t.Helper()
	image := append(bytes.Clone(body), footer...)
	image = binary.LittleEndian.AppendUint32(image, uint32(len(footer)))
	path := filepath.Join(t.TempDir(), "hostile.parquet")
	if err := os.WriteFile(path, append(image, "PAR1"...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHostileFooters(t *testing.T) {
	column := func(m *format.FileMetaData) *format.ColumnMetaData { return &m.RowGroups[0].Columns[0].MetaData }
	for _, c := range []struct {
		name string
		edit func(*format.FileMetaData)
		want string
	}{
		{"nothing", func(*format.FileMetaData) {}, ""},
		{"rows", func(m *format.FileMetaData) { m.NumRows = 1 << 40 }, "claims 1099511627776 rows"},
		{"rows everywhere", func(m *format.FileMetaData) { m.NumRows += 1 << 40; m.RowGroups[0].NumRows += 1 << 40 }, "has 64 values"},
		{"negative rows", func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -1 }, "claims -1 rows"},
		{"negative offset", func(m *format.FileMetaData) { column(m).DataPageOffset = -5 }, "claims 64 values in bytes"},
		{"offset past the end", func(m *format.FileMetaData) { column(m).DataPageOffset = 1 << 50; column(m).DictionaryPageOffset = 0 }, "and the data ends at"},
		{"size", func(m *format.FileMetaData) { column(m).TotalCompressedSize = 1 << 62 }, "and the data ends at"},
		{"values", func(m *format.FileMetaData) { column(m).NumValues = 1 << 50 }, "has 1125899906842624 values"},
		{"codec", func(m *format.FileMetaData) { column(m).Codec = 77 }, "not supported"},
		{"other codec", func(m *format.FileMetaData) { column(m).Codec = format.Zstd }, "unpack ZSTD page"},
		{"type", func(m *format.FileMetaData) { column(m).Type = format.Int96 }, "has INT96 in column"},
		{"children", func(m *format.FileMetaData) { m.Schema[0].NumChildren.V = 1 << 30 }, "claims 1073741824 children"},
		{"fewer children", func(m *format.FileMetaData) { m.Schema[0].NumChildren.V = 2 }, "has no parent"},
		{"width", func(m *format.FileMetaData) { m.Schema[1].TypeLength = thrift.New(int32(-3)) }, "values of -3 bytes"},
		{"no columns", func(m *format.FileMetaData) { m.RowGroups[0].Columns = nil }, "column"},
		{"other file", func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].FilePath = "/etc/passwd" }, "in another file"},
		{"deep schema", func(m *format.FileMetaData) {
			m.Schema = nil
			for range 20000 {
				m.Schema = append(m.Schema, format.SchemaElement{Name: "a", NumChildren: thrift.New(int32(1))})
			}
			m.RowGroups, m.NumRows = nil, 0
		}, "nested more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := withFooter(t, c.edit)
			err := mustSurvive(t, c.name, path)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "runtime error") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFootersThatClaimTooMuch(t *testing.T) {
	for _, c := range []struct {
		name   string
		footer []byte
		want   string
	}{
		// field 4 (row groups): a list of 2^24 structs in a footer of 5 MB
		{"a list longer than the footer", append([]byte{0x49, 0xfc, 0x80, 0x80, 0x80, 0x08}, make([]byte, 5<<20)...), "damaged footer"},
		// a row group of 2^18 columns of one byte each, which decode to 600
		{"columns too small to be true", append([]byte{0x49, 0x1c, 0x19, 0xfc, 0x80, 0x80, 0x10}, make([]byte, 1<<18+2)...), "ends in the middle"},
		// one unknown struct in the other
		{"deep structures", bytes.Repeat([]byte{0xfc, 0x1c}, 1<<20), "nested more than"},
		{"deep lists", bytes.Repeat([]byte{0x19}, 1<<20), "nested more than"},
		{"a string longer than the footer", []byte{0x18, 0xff, 0xff, 0xff, 0xff, 0x07}, "ends in the middle"},
		{"an endless number", bytes.Repeat([]byte{0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 3), "64 bits"},
		{"nothing", nil, "damaged footer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := mustSurvive(t, c.name, writeImage(t, []byte("PAR1"), c.footer))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzParquet(f *testing.F) {
	for _, codec := range codecs() {
		f.Add(mixedFile(f, 20, codec, 1))
		f.Add(mixedFile(f, 20, codec, 2))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "fuzz.parquet")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		mustSurvive(t, "fuzz", path)
	})
}
