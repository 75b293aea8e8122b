package datasets_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

type answerRow struct {
	ID     string    `parquet:"id"`
	Text   string    `parquet:"text"`
	Tokens []int32   `parquet:"tokens,list"`
	Cost   float64   `parquet:"cost"`
	Note   *string   `parquet:"note,optional"`
	Top    []float32 `parquet:"top,list"`
}

func answerRows(n int) []answerRow {
	rows := make([]answerRow, n)
	for i := range rows {
		rows[i] = answerRow{ID: fmt.Sprint("id", i), Text: strings.Repeat("ä\x00z", i%9), Cost: float64(i) / 7}
		rows[i].Tokens, rows[i].Top = []int32{}, []float32{}
		for k := range i % 4 {
			rows[i].Tokens = append(rows[i].Tokens, int32(k-i))
			rows[i].Top = append(rows[i].Top, float32(k)/3)
		}
		if i%5 == 0 {
			note := fmt.Sprint("note ", i)
			rows[i].Note = &note
		}
	}
	return rows
}

func TestParquetRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257} {
		path := filepath.Join(t.TempDir(), "rows.parquet")
		want := answerRows(n)
		if err := datasets.WriteParquet(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := datasets.ReadParquet[answerRow](path)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != n || n > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%d rows: read %d, or not the same", n, len(got))
		}
	}
}

// More rows than a row group takes.
func TestManyRowGroups(t *testing.T) {
	type row struct {
		N int64 `parquet:"n"`
	}
	path := filepath.Join(t.TempDir(), "rows.parquet")
	want := make([]row, 70_000)
	for i := range want {
		want[i].N = int64(i)
	}
	if err := datasets.WriteParquet(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := datasets.ReadParquet[row](path); err != nil || !slices.Equal(got, want) {
		t.Errorf("read %d rows, %v, or not the same", len(got), err)
	}
}

func TestWriteParquetIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	var files [2][]byte
	for i := range files {
		path := filepath.Join(dir, fmt.Sprint(i, ".parquet"))
		if err := datasets.WriteParquet(path, answerRows(1000)); err != nil {
			t.Fatal(err)
		}
		files[i], _ = os.ReadFile(path)
	}
	if len(files[0]) == 0 || !bytes.Equal(files[0], files[1]) {
		t.Error("the same rows gave other bytes")
	}
}

func TestReadParquetWantsItsColumns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.parquet")
	if err := datasets.WriteParquet(path, []struct {
		ID   string `parquet:"id"`
		Text int64  `parquet:"text"`
	}{{"a", 1}}); err != nil {
		t.Fatal(err)
	}
	_, err := datasets.ReadParquet[struct {
		Label string `parquet:"label"`
	}](path)
	wantError(t, "a missing column", err, path, `no column "label"`, `"id", "text"`)
	_, err = datasets.ReadParquet[struct {
		Text string `parquet:"text"`
	}](path)
	wantError(t, "another type", err, path, `"text" holds INT64, want BYTE_ARRAY`)
	rows, err := datasets.ReadParquet[struct {
		Text int64 `parquet:"text"`
	}](path)
	if err != nil || len(rows) != 1 || rows[0].Text != 1 {
		t.Errorf("one of two columns: got %v, %v", rows, err)
	}
}

func TestParquetFileErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none", "rows.parquet")
	_, err := datasets.ReadParquet[answerRow](missing)
	wantError(t, "read a missing file", err, missing)
	wantError(t, "write into a missing folder", datasets.WriteParquet(missing, answerRows(1)), missing)
	_, err = datasets.ReadParquet[answerRow](dir)
	wantError(t, "read a folder", err, dir)
	text := writeFile(t, "text.parquet", "this is not Parquet, not at all")
	_, err = datasets.ReadParquet[answerRow](text)
	wantError(t, "read text", err, text, "not a Parquet file")
	empty := writeFile(t, "empty.parquet", "")
	_, err = datasets.ReadParquet[answerRow](empty)
	wantError(t, "read nothing", err, empty, "not a Parquet file")
}

// wantError checks that err has every part in its message.
func wantError(t *testing.T, name string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: want an error", name)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: got %q, want %q in it", name, err, part)
		}
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
