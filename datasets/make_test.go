package datasets_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/retort-ml/retort/datasets"
)

// options for a file with columns text and label.
func options(files ...string) datasets.Options {
	return datasets.Options{Input: datasets.Input{
		Files:   map[string][]string{"": files},
		Columns: datasets.Columns{Prompt: "text", Response: "label"},
	}}
}

// loaded is a dataset with its examples in memory.
type loaded struct {
	*datasets.Dataset
	Splits map[string][]datasets.Example
}

func load(t *testing.T, o datasets.Options) *loaded {
	t.Helper()
	return loadWith(t, o, datasets.Hooks{})
}

func loadWith(t *testing.T, o datasets.Options, h datasets.Hooks) *loaded {
	t.Helper()
	h.Scratch = t.TempDir()
	d, err := datasets.Make(t.Context(), t.TempDir(), o, h)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(h.Scratch); len(left) > 0 {
		t.Errorf("left in scratch: %v", left)
	}
	return readAll(t, d)
}

func readAll(t *testing.T, d *datasets.Dataset) *loaded {
	t.Helper()
	l := &loaded{d, map[string][]datasets.Example{}}
	for _, split := range d.Splits() {
		list, err := d.Read(split)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			list = nil
		}
		l.Splits[split] = list
	}
	return l
}

// fails is the error of making the dataset.
func fails(t *testing.T, o datasets.Options) error {
	t.Helper()
	_, err := datasets.Make(t.Context(), t.TempDir(), o, datasets.Hooks{Scratch: t.TempDir()})
	return err
}

func TestLoadCountsBadRows(t *testing.T) {
	path := writeFile(t, "rows.jsonl", strings.Join([]string{
		`{"text": "  one ", "label": "a"}`,
		``,
		`{"text": null, "label": "a"}`,
		`{"text": "two", "label": null}`,
		`{"text": " \t", "label": "a"}`,
		`{"text": "three", "label": ""}`,
		`{"text": "a prompt of 24 characters", "label": "a"}`,
		`{"text": ["list"], "label": "a"}`,
		`{"label": "a"}`,
		"{\"text\": \"bad \xff byte\", \"label\": \"a\"}",
		`{"text": "half a pair \ud800", "label": "a"}`,
		`{"text": "a real \ufffd mark", "label": 1.50}`,
		`{"text": true, "label": "b"}`,
	}, "\r\n"))
	o := options(path)
	o.MaxPromptChars = 20
	d := load(t, o)
	want := map[datasets.Reason]int{
		datasets.NullPrompt: 1, datasets.NullResponse: 1, datasets.EmptyPrompt: 1, datasets.EmptyResponse: 1,
		datasets.TooLong: 1, datasets.WrongType: 1, datasets.MissingColumn: 1, datasets.InvalidUTF8: 2,
	}
	if !reflect.DeepEqual(d.Counts.Rejected, want) {
		t.Errorf("rejected %v, want %v", d.Counts.Rejected, want)
	}
	if d.Counts.Rows != 12 || d.Counts.Examples["train"] != 3 || len(d.Rejected) != 9 {
		t.Errorf("counts %+v with %d rejections", d.Counts, len(d.Rejected))
	}
	if got := d.Rejected[0]; got != (datasets.Rejection{File: "rows.jsonl", Row: 1, Reason: datasets.NullPrompt}) {
		t.Errorf("first rejection %+v", got)
	}
	var got []string
	for _, e := range d.Splits["train"] {
		got = append(got, fmt.Sprintf("%s=%s@%d", e.Prompt, e.Response, e.Row))
	}
	if want := []string{"one=a@0", "a real \ufffd mark=1.50@10", "true=b@11"}; !reflect.DeepEqual(got, want) {
		t.Errorf("examples %q, want %q", got, want)
	}
}

func TestBadRowsCanBeErrors(t *testing.T) {
	path := writeFile(t, "rows.jsonl", "{\"text\":\"a\",\"label\":\"b\"}\n{\"text\":\"\",\"label\":\"b\"}\n")
	o := options(path)
	o.BadRows = datasets.ErrorBadRows
	err := fails(t, o)
	wantError(t, "bad_rows: error", err, path, "row 1", "empty_prompt")
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.jsonl")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	good := "{\"text\":\"a\",\"label\":\"b\"}\n"
	for _, c := range []struct {
		name string
		path string
		want []string
	}{
		{"missing file", filepath.Join(dir, "none.jsonl"), []string{"none.jsonl", "no such file"}},
		{"no match", filepath.Join(dir, "*.parquet"), []string{"no file matches"}},
		{"extension", writeFile(t, "rows.txt", good), []string{"rows.txt", ".parquet, or .jsonl"}},
		{"a pipe", pipe, []string{"pipe.jsonl", "not a regular file"}},
		{"a folder", dir, []string{"not a regular file"}},
		{"bad line", writeFile(t, "bad.jsonl", good+"\n{\"text\": nope}\n"), []string{"bad.jsonl:3:", "bad JSON"}},
		{"cut line", writeFile(t, "cut.jsonl", good+"{\"text\":\"a"), []string{"cut.jsonl:2:", "bad JSON"}},
		{"two on a line", writeFile(t, "two.jsonl", good+"{\"text\":\"a\"} {}\n"), []string{"two.jsonl:2:", "bad JSON"}},
		{"not an object", writeFile(t, "list.jsonl", good+"3\n"), []string{"list.jsonl:2:", "want a JSON object"}},
		{"an array of numbers", writeFile(t, "array.json", "[\n3]"), []string{"array.json: row 0", "want a JSON object"}},
		{"an array cut off", writeFile(t, "half.json", "[\n"+good+","), []string{"half.json: row 1", "unexpected EOF"}},
		{"more than an array", writeFile(t, "more.json", "["+good+"] {}"), []string{"more.json", "something follows"}},
		{"other columns", writeFile(t, "other.jsonl", "{\"text\":\"a\",\"intent\":\"b\"}\n"), []string{"other.jsonl", `no column "label"`, `"intent", "text"`}},
		{"no rows", writeFile(t, "empty.jsonl", ""), []string{"empty.jsonl", "no examples in 0 rows"}},
		{"no good rows", writeFile(t, "null.jsonl", "{\"text\":null,\"label\":\"b\"}\n"), []string{"no examples in 1 rows (1 null_prompt)"}},
	} {
		err := fails(t, options(c.path))
		wantError(t, c.name, err, c.want...)
	}
	err := fails(t, options(writeFile(t, "empty.jsonl", "")))
	if !errors.Is(err, datasets.ErrNoExamples) {
		t.Errorf("got %v, want ErrNoExamples", err)
	}
}

func TestLoadStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := datasets.Make(ctx, t.TempDir(), options(writeFile(t, "rows.jsonl", "{\"text\":\"a\",\"label\":\"b\"}\n")), datasets.Hooks{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLongAndMarkedLines(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	path := writeFile(t, "long.jsonl", "\xef\xbb\xbf{\"text\":\""+long+"\",\"label\":\"a\"}\n{\"text\":\"short\",\"label\":\"b\"}")
	d := load(t, options(path))
	if got := d.Splits["train"]; len(got) != 2 || got[0].Prompt != long || got[1].Prompt != "short" {
		t.Errorf("read %d examples", len(got))
	}
	huge := writeFile(t, "huge.jsonl", "\nx")
	if err := os.Truncate(huge, 65<<20); err != nil { // zeros, and no newline
		t.Fatal(err)
	}
	err := fails(t, options(huge))
	wantError(t, "a line of 65 MB", err, "huge.jsonl:2:", "a line of more than")
}

func TestTemplates(t *testing.T) {
	path := writeFile(t, "rows.jsonl", `{"Question": "Why {so}?", "Context": "Because.", "answer": "YES"}`+"\n"+
		`{"Question": " ", "Context": "", "answer": "no"}`)
	o := datasets.Options{Input: datasets.Input{
		Files:            map[string][]string{"": {path}},
		Template:         "{{ctx}} {Context}\nQ: {Question}",
		ResponseTemplate: "Answer: {answer}.",
		Lowercase:        true,
	}}
	d := load(t, o)
	e := d.Splits["train"][0]
	if e.Prompt != "{ctx} because.\nq: why {so}?" || e.Response != "Answer: YES." {
		t.Errorf("got %q -> %q", e.Prompt, e.Response)
	}
	if d.Counts.Rejected[datasets.EmptyPrompt] != 1 {
		t.Errorf("a template around nothing is a prompt: %v", d.Counts.Rejected)
	}
	o.Template = "{Question} {Contxt}"
	err := fails(t, o)
	wantError(t, "unknown placeholder", err, path, `no column "Contxt"`, `"Context"`, `"Question"`, `"answer"`)
}

func TestTrimCanBeTurnedOff(t *testing.T) {
	off := false
	o := options(writeFile(t, "rows.jsonl", `{"text": " a ", "label": " b"}`))
	o.Trim = &off
	if e := load(t, o).Splits["train"][0]; e.Prompt != " a " || e.Response != " b" {
		t.Errorf("got %q -> %q", e.Prompt, e.Response)
	}
}

func TestIDs(t *testing.T) {
	path := writeFile(t, "rows.jsonl", `{"id": 7, "text": "a", "label": "b"}
{"id": 7, "text": "c", "label": "d"}
{"id": null, "text": "e", "label": "f"}
{"id": "8", "text": "a", "label": "b"}`)
	o := options(path)
	plain := load(t, o).Splits["train"]
	if len(plain) != 4 || len(plain[0].ID) != 16 || plain[0].ID == plain[3].ID {
		t.Errorf("hashed ids: %+v", plain)
	}
	o.Columns.ID = "id"
	d := load(t, o)
	if got := d.Splits["train"]; len(got) != 2 || got[0].ID != "7" || got[1].ID != "8" {
		t.Errorf("named ids: %+v", got)
	}
	if d.Counts.Rejected[datasets.DuplicateID] != 1 || d.Counts.Rejected[datasets.NullID] != 1 {
		t.Errorf("rejected %v", d.Counts.Rejected)
	}
}

func TestPromptOnly(t *testing.T) {
	o := options(writeFile(t, "rows.jsonl", `{"text": "a", "label": null}`))
	o.Columns.Response, o.PromptOnly = "", true
	d := load(t, o)
	if e := d.Splits["train"][0]; e.Prompt != "a" || e.Response != "" {
		t.Errorf("got %+v", e)
	}
	if labels := d.Labels(); len(labels) != 0 {
		t.Errorf("labels %q without responses", labels)
	}
}

// Every scalar column has a text form, and a list has none.
func TestParquetCellsAsText(t *testing.T) {
	type row struct {
		Bool  bool      `parquet:"bool"`
		I8    int8      `parquet:"i8"`
		U32   uint32    `parquet:"u32"`
		U64   uint64    `parquet:"u64"`
		F32   float32   `parquet:"f32"`
		F64   float64   `parquet:"f64"`
		Dict  string    `parquet:"dict,dict"`
		Enum  string    `parquet:"enum,enum"`
		JSON  string    `parquet:"json,json"`
		Bytes []byte    `parquet:"bytes"`
		Dec   int64     `parquet:"dec,decimal(2:10)"`
		Date  int32     `parquet:"date,date"`
		Time  time.Time `parquet:"time,timestamp(microsecond)"`
		UUID  [16]byte  `parquet:"uuid,uuid"`
		Deep  struct {
			X int32 `parquet:"x"`
		} `parquet:"deep"`
		List []string `parquet:"list,list"`
	}
	path := filepath.Join(t.TempDir(), "cells.parquet")
	in := row{
		Bool: true, I8: -8, U32: 1<<32 - 1, U64: 1<<64 - 1, F32: 0.1, F64: -1e100, Dict: "d", Enum: "e", JSON: `{"a":1}`,
		Bytes: []byte("raw"), Dec: -5, Date: 20000, Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), UUID: [16]byte{0x12, 15: 0xff}, List: []string{"x"},
	}
	in.Deep.X = 42
	if err := parquet.WriteFile(path, []row{in}); err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]string{
		"bool": "true", "i8": "-8", "u32": "4294967295", "u64": "18446744073709551615", "f32": "0.1", "f64": "-1e+100",
		"dict": "d", "enum": "e", "json": `{"a":1}`, "bytes": "raw", "dec": "-0.05", "date": "2024-10-04",
		"time": "2026-01-02T03:04:05.000006Z", "uuid": "12000000-0000-0000-0000-0000000000ff", "deep.x": "42",
	} {
		o := datasets.Options{Input: datasets.Input{Files: map[string][]string{"": {path}}, Columns: datasets.Columns{Prompt: column}, PromptOnly: true}}
		if got := load(t, o).Splits["train"][0].Prompt; got != want {
			t.Errorf("column %s: got %q, want %q", column, got, want)
		}
	}
	for _, column := range []string{"list", "deep"} {
		o := datasets.Options{Input: datasets.Input{Files: map[string][]string{"": {path}}, Columns: datasets.Columns{Prompt: column}, PromptOnly: true}}
		err := fails(t, o)
		wantError(t, column, err, "1 wrong_type")
	}
}

func TestParquetNullsAndBadText(t *testing.T) {
	type row struct {
		Text  *string `parquet:"text,optional"`
		Label string  `parquet:"label,dict"`
	}
	path := filepath.Join(t.TempDir(), "rows.parquet")
	var rows []row
	for i := range 1000 {
		text := fmt.Sprint("prompt ", i)
		switch i % 4 {
		case 0:
			rows = append(rows, row{Label: "a"})
		case 1:
			bad := "bad \xc3 byte"
			rows = append(rows, row{Text: &bad, Label: "a"})
		default:
			rows = append(rows, row{Text: &text, Label: "b"})
		}
	}
	if err := parquet.WriteFile(path, rows, parquet.MaxRowsPerRowGroup(300), parquet.PageBufferSize(500)); err != nil {
		t.Fatal(err)
	}
	d := load(t, options(path))
	if d.Counts.Rejected[datasets.NullPrompt] != 250 || d.Counts.Rejected[datasets.InvalidUTF8] != 250 || d.Counts.Examples["train"] != 500 {
		t.Errorf("counts %+v", d.Counts)
	}
	if len(d.Rejected) != 100 {
		t.Errorf("%d rejections listed, want 100", len(d.Rejected))
	}
	for _, e := range d.Splits["train"] {
		if e.Prompt != fmt.Sprint("prompt ", e.Row) {
			t.Fatalf("row %d has %q", e.Row, e.Prompt)
		}
	}
}

// Files written by another program: DuckDB.
func TestRealFiles(t *testing.T) {
	for _, c := range []struct {
		file    string
		columns datasets.Columns
		rows    int
		labels  int
	}{
		{"banking77-train.parquet", datasets.Columns{Prompt: "text", Response: "label"}, 10003, 77},
		{"banking77-test.parquet", datasets.Columns{Prompt: "text", Response: "label"}, 3080, 77},
		{"gsm8k-test.parquet", datasets.Columns{Prompt: "question", Response: "answer"}, 1319, 0},
	} {
		path := filepath.Join("..", "..", "shared", "data", c.file)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("no %s", path)
		}
		d := load(t, datasets.Options{Input: datasets.Input{Files: map[string][]string{"test": {path}}, Columns: c.columns}})
		if n := len(d.Splits["test"]); n != c.rows || d.Counts.Rows != c.rows {
			t.Errorf("%s: %d of %d rows, rejected %v", c.file, n, d.Counts.Rows, d.Counts.Rejected)
		}
		if n := len(d.Labels()); n != c.labels {
			t.Errorf("%s: %d labels, want %d", c.file, n, c.labels)
		}
	}
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte("{\"text\":\"a\",\"label\":\"b\"}\n\n{\"text\":1e5,\"label\":true}"))
	f.Add([]byte("\xef\xbb\xbf{\"text\":\"\\ud83d\\ude00\",\"label\":null}\r\n"))
	f.Add([]byte("[1]\n{\n}\x00"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRows(t, "fuzz.jsonl", data, options("")) })
}
