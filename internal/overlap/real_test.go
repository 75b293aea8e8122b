package overlap_test

import (
	"context"
	"os"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/overlap"
)

type banking struct {
	Text string `parquet:"text"`
}

func readReal[T any](t *testing.T, path string) []T {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skip(path + " is absent")
	}
	rows, err := datasets.ReadParquet[T](path)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRealNearDuplicates(t *testing.T) {
	rows := readReal[banking](t, "../../../shared/data/banking77-train.parquet")
	for _, o := range []overlap.Options{{}, {Threshold: 0.6}, {Unit: overlap.UnitWord, Shingle: 1}} {
		f, err := overlap.NewFinder(t.TempDir(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, row := range rows {
			if err := f.Add(t.Context(), overlap.Text{Prompt: row.Text}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := f.Find(t.Context(), func(_ context.Context, i int) (overlap.Text, error) {
			return overlap.Text{Prompt: rows[i].Text}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v: of %d texts %d equal, %d near, %d large buckets", o, r.Texts, r.Counts[overlap.Equal], r.Counts[overlap.Near], r.LargeBuckets)
		shown := 0
		for d := range r.Duplicates(overlap.Equal, overlap.Near) {
			if shown++; shown <= 6 {
				t.Logf("%v: %q\n of %q", d.Kind, rows[d.Index].Text, rows[d.Of].Text)
			}
		}
		if r.Counts[overlap.Near] == 0 {
			t.Errorf("%+v: no near duplicates", o)
		}
	}
}

type question struct {
	Question string `parquet:"question"`
}

// banking77's test questions were written apart from its training questions,
// and some are the same but for a word or two.
func TestRealContamination(t *testing.T) {
	train := readReal[banking](t, "../../../shared/data/banking77-train.parquet")
	test := readReal[banking](t, "../../../shared/data/banking77-test.parquet")
	math := readReal[question](t, "../../../shared/data/gsm8k-test.parquet")
	texts := func(rows []banking) (out []string) {
		for _, row := range rows {
			out = append(out, row.Text)
		}
		return out
	}
	var questions []string
	for _, row := range math {
		questions = append(questions, row.Question)
	}
	for _, c := range []struct {
		name        string
		o           overlap.IndexOptions
		items, text []string
		some        bool
	}{
		{"banking77 test in train, n 13", overlap.IndexOptions{}, texts(test), texts(train), true},
		{"banking77 test in train, n 8", overlap.IndexOptions{N: 8}, texts(test), texts(train), true},
		{"banking77 test in train, n 8, half", overlap.IndexOptions{N: 8, MinShare: 0.5}, texts(test), texts(train), true},
		{"gsm8k test in banking77 train, n 8", overlap.IndexOptions{N: 8}, questions, texts(train), false},
		{"gsm8k test in itself", overlap.IndexOptions{}, questions, questions, true},
	} {
		ix, err := overlap.NewIndex(c.o)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range c.items {
			if err := ix.AddItem("", item); err != nil {
				t.Fatal(err)
			}
		}
		tally := overlap.NewTally(ix)
		for i, text := range c.text {
			tally.Add(i, ix.Match(text))
		}
		all, short := ix.Items()
		t.Logf("%s: of %d texts %d match, %d dropped; of %d items (%d too short) %d found, %d whole",
			c.name, tally.Texts, tally.Matching, tally.Contaminated, all, short, tally.Items, tally.ItemsWhole)
		for _, e := range tally.Examples[:min(2, len(tally.Examples))] {
			t.Logf("text %d has %.0f%% of item %d: %q", e.Text, 100*e.OfItem, e.Item, e.Span)
		}
		if (tally.Contaminated > 0) != c.some {
			t.Errorf("%s: %d contaminated", c.name, tally.Contaminated)
		}
		if len(c.items) == len(c.text) && tally.ItemsWhole != all-short {
			t.Errorf("%s: %d of %d whole", c.name, tally.ItemsWhole, all-short)
		}
	}
}
