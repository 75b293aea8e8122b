package api

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
)

func records(list ...Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func said(prompt, text string) Record {
	return Record{Prompt: prompt, Answer: distill.Answer{Text: text}}
}

func TestRecorded(t *testing.T) {
	make := func(list ...Record) *Recorded {
		r, err := NewRecorded("file.parquet", records(list...))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	chat := Record{Prompt: "hi", Messages: `[{"role":"user","content":"hi"}]`, Answer: distill.Answer{Text: "of messages"}}
	r := make(said("hi", "first"), said("ho", "other"), said("hi", "second"), chat, said("blank", " "))
	got, err := ask(t.Context(), r, []distill.Request{{Prompt: "hi"}, {Prompt: "hi", Sample: 1}, {Prompt: "hi", Sample: 2}, {Prompt: "nobody asked"},
		{Prompt: "x", Messages: `[ {"content":"hi", "role":"user"} ]`}, {Prompt: "blank"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"first", "second", "", "", "of messages", " "} {
		if got[i].Text != want || (got[i].Finish == distill.FinishFailed) != (want == "") {
			t.Errorf("answer %d: %+v, want %q", i, got[i], want)
		}
	}
	if got[5].Finish != distill.FinishEmpty || got[0].Finish != distill.FinishStop {
		t.Errorf("finish %q, %q", got[5].Finish, got[0].Finish)
	}
	if !strings.Contains(got[3].Error, "nobody asked") || !strings.Contains(got[2].Error, "2 answers") {
		t.Errorf("errors %q, %q", got[3].Error, got[2].Error)
	}
	if a, b := make(said("a", "b")).Identity(), make(said("a", "c")).Identity(); a == b || a != make(said("a", "b")).Identity() {
		t.Errorf("identities %q and %q", a, b)
	}
	if _, err := ask(t.Context(), r, []distill.Request{{Prompt: "hi", TopK: 2}}); err == nil {
		t.Error("log-probabilities out of nothing")
	}
	if _, err := ask(t.Context(), r, []distill.Request{{Prompt: "hi", Given: new("x")}}); err == nil {
		t.Error("scores out of nothing")
	}
	bad := errors.New("row 7")
	if _, err := NewRecorded("x", func(yield func(Record, error) bool) { yield(Record{}, bad) }); !errors.Is(err, bad) {
		t.Errorf("error %v", err)
	}
	if _, err := NewRecorded("x", records()); err == nil {
		t.Error("a teacher without answers")
	}
}

// TestRecordedFile reads answers of real models.
func TestRecordedFile(t *testing.T) {
	file := filepath.Join("..", "..", "..", "shared", "data", "gsm8k-recorded-teachers.parquet")
	if _, err := os.Stat(file); err != nil {
		t.Skip(err)
	}
	type row struct {
		Question string `parquet:"question"`
		Response string `parquet:"response"`
	}
	rows, err := datasets.ReadParquet[row](file)
	if err != nil {
		t.Fatal(err)
	}
	var list []Record
	for _, r := range rows {
		list = append(list, said(r.Question, r.Response))
	}
	teacher, err := NewRecorded(file, records(list...))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	var requests []distill.Request
	for _, r := range rows {
		requests = append(requests, distill.Request{Prompt: r.Question, Sample: seen[r.Question]})
		seen[r.Question]++
	}
	got, err := ask(t.Context(), teacher, requests)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		if got[i].Text != r.Response {
			t.Fatalf("row %d: %q, want %q", i, got[i].Text, r.Response)
		}
	}
	t.Logf("%d answers to %d questions", len(rows), len(seen))
}
