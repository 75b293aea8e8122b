package redact_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/retort-ml/retort/internal/redact"
)

type labelled struct {
	Text  string
	Spans []labelledSpan
}

type labelledSpan struct {
	Kind       string
	Start, End int
}

func readLabelled(t *testing.T, name string) (list []labelled) {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one labelled
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		list = append(list, one)
	}
	return list
}

// Texts that the detectors were tuned on, and texts that were written apart from
// them: these say what is to be expected of others.
func TestLabelled(t *testing.T) {
	for name, least := range map[string]float64{"labelled.jsonl": 0.95, "heldout.jsonl": 0.94} {
		t.Run(name, func(t *testing.T) { testLabelled(t, name, least) })
	}
}

// testLabelled counts findings of exactly the labelled kind and bytes. least is the
// least precision and recall of each kind.
func testLabelled(t *testing.T, name string, least float64) {
	texts := readLabelled(t, name)
	if len(texts) < 300 {
		t.Fatalf("%d texts, want 300 or more", len(texts))
	}
	r := newRedactor(t, redact.Options{})
	right, labels, found := map[string]int{}, map[string]int{}, map[string]int{}
	for _, text := range texts {
		s := r.Scope()
		s.Redact(text.Text)
		want := map[labelledSpan]bool{}
		for _, span := range text.Spans {
			want[span] = true
			labels[span.Kind]++
			labels[""]++
		}
		for _, f := range s.Findings() {
			span := labelledSpan{f.Kind, f.Offset, f.Offset + f.Length}
			found[f.Kind]++
			found[""]++
			if want[span] {
				right[f.Kind]++
				right[""]++
				delete(want, span)
			} else {
				t.Logf("wrong: %s %q in %q", f.Kind, text.Text[span.Start:span.End], text.Text)
			}
		}
		for span := range want {
			t.Logf("missed: %s %q in %q", span.Kind, text.Text[span.Start:span.End], text.Text)
		}
	}
	for _, kind := range append(redact.Kinds(), "") {
		precision := float64(right[kind]) / float64(found[kind])
		recall := float64(right[kind]) / float64(labels[kind])
		t.Logf("%-16s precision %.3f recall %.3f of %d", kind, precision, recall, labels[kind])
		leastPrecision, leastRecall := least, least
		if kind == "" {
			leastPrecision, leastRecall = 0.98, 0.95
		}
		if !(precision >= leastPrecision) || !(recall >= leastRecall) {
			t.Errorf("%q: precision %.3f, recall %.3f; want %.2f and %.2f", kind, precision, recall, leastPrecision, leastRecall)
		}
	}
}
