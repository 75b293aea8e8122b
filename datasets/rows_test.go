package datasets_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/retort-ml/retort/datasets"
)

// pairs are the prompts and responses of the training split.
func pairs(l *loaded) []string {
	var list []string
	for _, e := range l.Splits["train"] {
		list = append(list, e.Prompt+"="+e.Response)
	}
	return list
}

func TestCSV(t *testing.T) {
	text := "\xef\xbb\xbflabel,text,other\r\na,\"one, \"\"two\"\"\r\nthree\",x\r\n\r\nb,plain,\r\nc,short\r\nd,long,1,2\r\n,empty,\r\ne,bad \xff,\r\nf, trimmed ,\r\n"
	d := load(t, options(writeFile(t, "rows.CSV", text)))
	if want := []string{"one, \"two\"\nthree=a", "plain=b", "trimmed=f"}; !reflect.DeepEqual(pairs(d), want) {
		t.Errorf("got %q, want %q", pairs(d), want)
	}
	want := []datasets.Rejection{{File: "rows.CSV", Row: 2, Line: 6, Reason: datasets.RaggedRow}, {File: "rows.CSV", Row: 3, Line: 7, Reason: datasets.RaggedRow},
		{File: "rows.CSV", Row: 4, Line: 8, Reason: datasets.EmptyResponse}, {File: "rows.CSV", Row: 5, Line: 9, Reason: datasets.InvalidUTF8}}
	if !reflect.DeepEqual(d.Rejected, want) {
		t.Errorf("rejected %+v, want %+v", d.Rejected, want)
	}
	tabs := load(t, options(writeFile(t, "rows.tsv", "text\tlabel\na,b\tx\n")))
	if want := []string{"a,b=x"}; !reflect.DeepEqual(pairs(tabs), want) {
		t.Errorf("tabs: %q", pairs(tabs))
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", "it is empty"},
		"column":       {"text,intent\na,b\n", `no column "label"; it has "intent", "text"`},
		"twice":        {"text,label,text\na,b,c\n", `two columns are called "text"`},
		"quote":        {"text,label\na,b\nx\"y,b\n", "bad.csv:3: bare"},
		"open quote":   {"text,label\na,b\n\"x,b\n\n", "bad.csv:4: extraneous or missing"},
		"utf-16":       {"\xff\xfet\x00e\x00", "UTF-16"},
		"a row of 65M": {"text,label\n\"" + strings.Repeat("x", 66<<20), "a row of more than 67108864 bytes"},
	} {
		wantError(t, name, fails(t, options(writeFile(t, "bad.csv", c.text))), "bad.csv", c.want)
	}
}

func TestJSONArray(t *testing.T) {
	d := load(t, options(writeFile(t, "rows.json", "\xef\xbb\xbf\n [ {\"text\": \"a\",\n \"label\": 1},\n{\"label\":\"y\",\"text\":\"b\"} ]\n")))
	if want := []string{"a=1", "b=y"}; !reflect.DeepEqual(pairs(d), want) {
		t.Errorf("got %q", pairs(d))
	}
	wantError(t, "an element of 65 MB", fails(t, options(writeFile(t, "big.json", `[{"text":"`+strings.Repeat("x", 66<<20)+`"}]`))), "big.json", "a row of more than")
}

func TestPackedFiles(t *testing.T) {
	plain := []byte("{\"text\":\"a\",\"label\":\"b\"}\n{\"text\":\"c\",\"label\":\"d\"}\n")
	var gz, zst bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write(plain)
	w.Close()
	z, _ := zstd.NewWriter(&zst)
	z.Write(plain)
	z.Close()
	for name, data := range map[string][]byte{"rows.jsonl.gz": gz.Bytes(), "rows.jsonl.zst": zst.Bytes(), "rows.ndjson.gz": append(gz.Bytes(), gz.Bytes()...)} {
		d := load(t, options(writeFile(t, name, string(data))))
		if n := d.Len("train"); n != 2*bytes.Count(data, data[:4]) && n != 2 {
			t.Errorf("%s: %d examples", name, n)
		}
		wantError(t, name+" cut off", fails(t, options(writeFile(t, name, string(data[:len(data)-6])))), name, "unexpected EOF")
		wantError(t, name+" damaged", fails(t, options(writeFile(t, name, "not packed at all"))), name)
	}
}

func TestDeepPatterns(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl", "x/a.jsonl", "x/y/c.jsonl", "x/y/c.txt"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, fmt.Appendf(nil, "{\"text\": %q, \"label\": \"x\"}\n", name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := load(t, options(filepath.Join(dir, "**", "*.jsonl")))
	if want := []string{"b.jsonl=x", "x/a.jsonl=x", "x/y/c.jsonl=x"}; !reflect.DeepEqual(pairs(d), want) {
		t.Errorf("got %q, want %q", pairs(d), want)
	}
	wantError(t, "no match", fails(t, options(filepath.Join(dir, "**", "*.csv"))), "no file matches")
}

// The rows come in order, however many goroutines take them apart, and an error
// in the middle comes after the rows before it.
func TestRowsStayInOrder(t *testing.T) {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "{\"text\": \"prompt %d %s\", \"label\": \"x\"}\n", i, strings.Repeat("y", i%700))
	}
	d := load(t, options(writeFile(t, "rows.jsonl", b.String())))
	for i, e := range d.Splits["train"] {
		if e.Row != i || !strings.HasPrefix(e.Prompt, fmt.Sprintf("prompt %d", i)) {
			t.Fatalf("row %d is %d %.20q", i, e.Row, e.Prompt)
		}
	}
	wantError(t, "a bad line at the end", fails(t, options(writeFile(t, "bad.jsonl", b.String()+"{\n"))), "bad.jsonl:20001: bad JSON")
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("text,label\na,b\n\"c\nd\",e\r\nf\n"))
	f.Add([]byte("\xef\xbb\xbflabel,text\n\"\"\"\",x"))
	f.Add([]byte("text,label\n\"open"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRows(t, "fuzz.csv", data, options("")) })
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}],"tool_calls":[{"x":1.0}]}]}`))
	f.Add([]byte(`{"messages":"[{\"role\":\"user\",\"content\":\"\\ud800\"}]"}`))
	f.Add([]byte(`[{"messages":[{"role":"system","content":null},[],{}]},{"messages":{}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzRows(t, "fuzz.json", data, of(datasets.FormatMessages, ""))
	})
}

// fuzzRows: every row is an example or rejected, and errors name the file.
func fuzzRows(t *testing.T, name string, data []byte, o datasets.Options) {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Files[""] = []string{path}
	d, err := datasets.Make(t.Context(), t.TempDir(), o, datasets.Hooks{Scratch: t.TempDir()})
	if err != nil {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name the file: %v", err)
		}
		return
	}
	kept := d.Counts.Rows
	for _, n := range d.Counts.Rejected {
		kept -= n
	}
	if kept != d.Len("train") {
		t.Errorf("%d rows are neither kept nor rejected", kept)
	}
	for e, err := range d.Examples("train") {
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{e.Messages, e.Turn, e.Tools} {
			if text != "" && !json.Valid([]byte(text)) {
				t.Fatalf("no JSON: %s", text)
			}
		}
	}
}
