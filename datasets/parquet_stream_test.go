package datasets_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

// writeEach writes rows one by one, each said to take so many bytes.
func writeEach(t *testing.T, path string, rows []answerRow, each int) {
	t.Helper()
	w, err := datasets.CreateParquet[answerRow](path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range rows {
		if err := w.Write(rows[i:i+1], each); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestParquetRowByRow(t *testing.T) {
	for _, c := range []struct{ n, each int }{{0, 1}, {1, 1}, {300, 1}, {300, 1 << 20}, {300, 100 << 20}} {
		path := filepath.Join(t.TempDir(), "rows.parquet")
		want := answerRows(c.n)
		writeEach(t, path, want, c.each)
		var got []answerRow
		for r, err := range datasets.ParquetRows[answerRow](path) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		if len(got) != c.n || c.n > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%v: read %d, or not the same", c, len(got))
		}
		if n, err := datasets.CheckParquet[answerRow](path); n != int64(c.n) || err != nil {
			t.Errorf("%v: the footer says %d, error %v", c, n, err)
		}
		again := filepath.Join(t.TempDir(), "again.parquet")
		writeEach(t, again, want, c.each)
		if a, b := readFile(t, path), readFile(t, again); !bytes.Equal(a, b) {
			t.Errorf("%v: the same rows gave other bytes", c)
		}
	}
}

// Row groups end when they are full, and not before: each takes some room.
func TestRowGroupsAreFull(t *testing.T) {
	dir := t.TempDir()
	size := func(each int) int {
		path := filepath.Join(dir, "rows.parquet")
		writeEach(t, path, answerRows(300), each)
		return len(readFile(t, path))
	}
	one, ten, all := size(1), size(1<<20), size(100<<20)
	if group := (all - one) / 299; ten-one < 8*group/2 || ten-one > 10*group*2 {
		t.Errorf("%d bytes in one row group, %d in ten, %d in one for every row", one, ten, all)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParquetThatIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	w, err := datasets.CreateParquet[answerRow](filepath.Join(dir, "rows.parquet"))
	if err == nil {
		err = w.Write(answerRows(3), 3)
	}
	if err == nil {
		err = w.Close()
	}
	if files, _ := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("%d files, error %v", len(files), err)
	}
	if err := w.Commit(); err == nil || !strings.Contains(err.Error(), "rows.parquet") {
		t.Errorf("committed after Close: %v", err)
	}
	if _, err := datasets.CreateParquet[answerRow](filepath.Join(dir, "no", "rows.parquet")); err == nil {
		t.Error("there is no such directory: no error")
	}
}

func TestCheckParquetRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.parquet")
	writeEach(t, path, answerRows(3), 1)
	type other struct {
		Missing string `parquet:"missing"`
	}
	if _, err := datasets.CheckParquet[other](path); err == nil || !strings.Contains(err.Error(), `rows.parquet: no column "missing"`) {
		t.Errorf("another struct: %v", err)
	}
	if err := os.WriteFile(path, readFile(t, path)[:50], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := datasets.CheckParquet[answerRow](path); err == nil || !strings.Contains(err.Error(), "rows.parquet") {
		t.Errorf("half a file: %v", err)
	}
}

// 256 MB of text pass through without staying.
func TestParquetRowByRowIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 256 MB of text")
	}
	path := filepath.Join(t.TempDir(), "rows.parquet")
	w, err := datasets.CreateParquet[answerRow](path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	text := strings.Repeat("some text that compresses well ", 1<<15)
	var most [2]uint64 // of each half
	for i := range 256 {
		if err := w.Write([]answerRow{{ID: "x", Text: text, Tokens: []int32{int32(i)}}}, len(text)); err != nil {
			t.Fatal(err)
		}
		most[i/128] = max(most[i/128], heap())
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if most[1] > most[0]+8<<20 || most[1] > 200<<20 {
		t.Errorf("%d MB in memory, then %d", most[0]>>20, most[1]>>20)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
