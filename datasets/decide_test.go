package datasets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

// lines writes rows of text, label and whatever else.
func lines(t *testing.T, name string, rows ...string) string {
	t.Helper()
	return writeFile(t, name, strings.Join(rows, "\n"))
}

func rowOf(text, label string) string { return fmt.Sprintf(`{"text": %q, "label": %q}`, text, label) }

func TestDeduplicate(t *testing.T) {
	rows := []string{rowOf("a", "1"), rowOf("b", "1"), rowOf("a", "1"), rowOf("a", "2"), rowOf("b", "1"), rowOf("c", "1"), rowOf("c", "2")}
	no := false
	for _, c := range []struct {
		name    string
		d       datasets.Deduplicate
		want    []string
		dropped map[datasets.Drop]int
	}{
		{"examples", datasets.Deduplicate{}, []string{"a=1", "b=1", "a=2", "c=1", "c=2"}, map[datasets.Drop]int{datasets.ExactDuplicate: 2}},
		{"prompts", datasets.Deduplicate{On: datasets.OnPrompt}, []string{"a=1", "b=1", "c=1"}, map[datasets.Drop]int{datasets.ExactDuplicate: 4}},
		{"conflicts", datasets.Deduplicate{Conflicts: datasets.DropConflicts}, []string{"b=1"}, map[datasets.Drop]int{datasets.Conflict: 5, datasets.ExactDuplicate: 1}},
		{"conflicts alone", datasets.Deduplicate{Exact: &no, Conflicts: datasets.DropConflicts}, []string{"b=1", "b=1"}, map[datasets.Drop]int{datasets.Conflict: 5}},
	} {
		o := options(lines(t, "rows.jsonl", rows...))
		o.Deduplicate = &c.d
		d := load(t, o)
		if !reflect.DeepEqual(pairs(d), c.want) || !reflect.DeepEqual(d.Counts.Dropped["train"], c.dropped) {
			t.Errorf("%s: got %q %v, want %q %v", c.name, pairs(d), d.Counts.Dropped, c.want, c.dropped)
		}
	}
}

// Training gives way to tests, so that none of them is learned.
func TestDuplicatesLeaveTraining(t *testing.T) {
	o := options()
	o.Files = map[string][]string{"train": {lines(t, "a.jsonl", rowOf("x", "1"), rowOf("y", "1"), rowOf("z", "1"))},
		"valid": {lines(t, "b.jsonl", rowOf("y", "1"), rowOf("v", "1"))}, "test": {lines(t, "c.jsonl", rowOf("x", "1"), rowOf("v", "1"), rowOf("x", "1"))}}
	o.Deduplicate = &datasets.Deduplicate{}
	d := load(t, o)
	if want := map[string]int{"train": 1, "valid": 1, "test": 2}; !reflect.DeepEqual(d.Counts.Examples, want) {
		t.Errorf("counts %v, want %v", d.Counts.Examples, want)
	}
}

func TestNoGroupOnTwoSides(t *testing.T) {
	var rows []string
	for i := range 5000 {
		rows = append(rows, fmt.Sprintf(`{"text": "t%d", "label": "x", "who": "user %d"}`, i, i*7%500))
	}
	o := options(lines(t, "rows.jsonl", rows...))
	o.Columns.Group = "who"
	o.Split = map[string]float64{"test": 0.2, "valid": 0.1}
	d := load(t, o)
	side := map[string]string{}
	for split, list := range d.Splits {
		for _, e := range list {
			if other, ok := side[e.Group]; ok && other != split {
				t.Fatalf("%s is in %s and %s", e.Group, split, other)
			}
			side[e.Group] = split
		}
	}
	if n := d.Len("test"); len(side) != 500 || n < 700 || n > 1300 {
		t.Errorf("%d groups, %d test examples", len(side), n)
	}
	// Files that are listed under splits may break a group apart.
	o.Files = map[string][]string{"train": {lines(t, "a.jsonl", rows[:3000]...)}, "held": {lines(t, "b.jsonl", rows[4999])}}
	o.Split = nil
	d = load(t, o)
	for _, e := range d.Splits["train"] {
		if e.Group == d.Splits["held"][0].Group {
			t.Fatalf("%s is on both sides", e.Group)
		}
	}
	if d.Counts.Dropped["train"][datasets.GroupElsewhere] != 6 {
		t.Errorf("dropped %v", d.Counts.Dropped)
	}
}

func labelled(t *testing.T, name string, counts map[string]int) string {
	var rows []string
	for _, label := range []string{"a", "b", "c"} {
		for i := range counts[label] {
			rows = append(rows, rowOf(fmt.Sprint(name, label, i), label))
		}
	}
	return lines(t, name, rows...)
}

func TestBalance(t *testing.T) {
	for _, c := range []struct {
		name     string
		b        datasets.Balance
		want     map[string]int
		repeated int
	}{
		{"at most", datasets.Balance{MaxPerLabel: 50}, map[string]int{"a": 50, "b": 50, "c": 10}, 0},
		{"ratio", datasets.Balance{Ratio: 1.5}, map[string]int{"a": 15, "b": 15, "c": 10}, 0},
		{"repeated", datasets.Balance{MaxPerLabel: 75, Oversample: true}, map[string]int{"a": 75, "b": 75, "c": 75}, 65},
		{"repeated to the most frequent", datasets.Balance{Oversample: true}, map[string]int{"a": 300, "b": 300, "c": 300}, 490},
	} {
		o := options(labelled(t, "rows.jsonl", map[string]int{"a": 300, "b": 100, "c": 10}))
		o.Balance = &c.b
		d := load(t, o)
		if got := d.Statistics["train"].Labels; !reflect.DeepEqual(got, c.want) || d.Counts.Repeated["train"] != c.repeated {
			t.Errorf("%s: %v, %d repeated, want %v, %d", c.name, got, d.Counts.Repeated["train"], c.want, c.repeated)
		}
		ids := map[string]bool{}
		last := -1
		for _, e := range d.Splits["train"] {
			if ids[e.ID] || e.Row < last {
				t.Fatalf("%s: id %s twice, or row %d after %d", c.name, e.ID, e.Row, last)
			}
			ids[e.ID], last = true, e.Row
		}
		if again := load(t, o); !reflect.DeepEqual(again.Splits, d.Splits) {
			t.Errorf("%s: another choice the second time", c.name)
		}
	}
	var rows []string
	for i := range 1100 {
		rows = append(rows, rowOf(fmt.Sprint(i), fmt.Sprint("answer ", i)))
	}
	o := options(lines(t, "rows.jsonl", rows...))
	o.Balance = &datasets.Balance{MaxPerLabel: 1}
	wantError(t, "texts", fails(t, o), "balance: ", "texts, not labels")
	o = options(labelled(t, "rows.jsonl", map[string]int{"a": 300, "b": 1}))
	o.Balance = &datasets.Balance{Oversample: true}
	wantError(t, "too rare", fails(t, o), "more than 255 times")
}

func mixOf(weights map[string]float64, files map[string]string) datasets.Options {
	o := datasets.Options{Mix: map[string]datasets.MixInput{}}
	for name, path := range files {
		o.Mix[name] = datasets.MixInput{Weight: weights[name], Input: datasets.Input{Files: map[string][]string{"": {path}},
			Columns: datasets.Columns{Prompt: "text", Response: "label"}}}
	}
	return o
}

func TestMix(t *testing.T) {
	files := map[string]string{"big": labelled(t, "big.jsonl", map[string]int{"a": 900}), "small": labelled(t, "small.jsonl", map[string]int{"b": 100})}
	for _, c := range []struct {
		name         string
		weights      map[string]float64
		size, repeat int
		want         map[string]int
	}{
		{"all", nil, 0, 0, map[string]int{"big": 900, "small": 100}},
		{"as the scarcest allows", map[string]float64{"big": 1, "small": 1}, 0, 0, map[string]int{"big": 100, "small": 100}},
		{"a size", map[string]float64{"big": 3, "small": 1}, 100, 0, map[string]int{"big": 75, "small": 25}},
		{"repeated", map[string]float64{"big": 0.5, "small": 0.5}, 501, 3, map[string]int{"big": 251, "small": 250}},
	} {
		o := mixOf(c.weights, files)
		o.MixSize, o.MixRepeat = c.size, c.repeat
		d := load(t, o)
		got := map[string]int{}
		for _, e := range d.Splits["train"] {
			got[e.Source]++
		}
		if !reflect.DeepEqual(got, c.want) || d.Counts.PerSource["big"]["train"] != c.want["big"] {
			t.Errorf("%s: %v %v, want %v", c.name, got, d.Counts.PerSource, c.want)
		}
		if d.Sources[0].Name != "big" || d.Rule().Mix["small"].Weight != c.weights["small"] {
			t.Errorf("%s: sources %+v", c.name, d.Sources)
		}
	}
	o := mixOf(map[string]float64{"big": 1, "small": 1}, files)
	o.MixSize = 500
	wantError(t, "too few", fails(t, o), "mix.small: its weight asks for 250 of 500 examples, and it has 100", "mix_repeat: 3")
	// A sample of a source's sample is as large a part of it as it was.
	o.MixSize, o.Limit = 0, 100
	got := map[string]int{}
	for _, e := range load(t, o).Splits["train"] {
		got[e.Source]++
	}
	if math.Abs(float64(got["big"]-50)) > 20 {
		t.Errorf("a limit of 100 takes %v", got)
	}
	// Other splits are not mixed by weights.
	o = mixOf(map[string]float64{"big": 1, "small": 9}, files)
	o.Split = map[string]float64{"test": 0.5}
	d := load(t, o)
	if n := d.Len("test"); n < 420 || n > 580 {
		t.Errorf("test has %d of 1000", n)
	}
}

func TestLengths(t *testing.T) {
	rows := []string{rowOf("short", "ok"), rowOf("a long prompt", "ok"), rowOf("p", "a long response"), rowOf("e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", "x")}
	for _, c := range []struct {
		policy string
		want   []string
	}{
		{"", []string{"short=ok"}},
		{datasets.TruncateRight, []string{"short=ok", "a long =ok", "p=a long ", "e\u0301e\u0301e\u0301=x"}},
		{datasets.TruncateLeft, []string{"short=ok", " prompt=ok", "p=esponse", "e\u0301e\u0301e\u0301=x"}},
	} {
		o := options(lines(t, "rows.jsonl", rows...))
		o.MaxPromptChars, o.MaxResponseChars, o.TooLong = 7, 7, c.policy
		d := load(t, o)
		if !reflect.DeepEqual(pairs(d), c.want) {
			t.Errorf("%q: %q, want %q", c.policy, pairs(d), c.want)
		}
		if c.policy == "" && (d.Counts.Rejected[datasets.TooLong] != 2 || d.Counts.Rejected[datasets.LongResponse] != 1) {
			t.Errorf("rejected %v", d.Counts.Rejected)
		}
		if c.policy != "" && !reflect.DeepEqual(d.Counts.Truncated, map[string]int{"prompt": 2, "response": 1}) {
			t.Errorf("%s: truncated %v", c.policy, d.Counts.Truncated)
		}
	}
	o := options(lines(t, "rows.jsonl", rows...))
	o.MaxPromptChars, o.TooLong = 7, datasets.ErrorTooLong
	wantError(t, "error", fails(t, o), "rows.jsonl: row 1: too_long")
}

// What changes examples comes before everything that looks at them.
func TestTransform(t *testing.T) {
	o := options(lines(t, "rows.jsonl", rowOf("call 1", "x"), rowOf("call 2", "x"), rowOf("gone", "x")))
	o.Deduplicate, o.MaxPromptChars = &datasets.Deduplicate{}, 8
	var seen []string
	d := loadWith(t, o, datasets.Hooks{Transform: func(e *datasets.Example) error {
		seen = append(seen, e.Prompt)
		e.Prompt = map[string]string{"call 1": "call [N]", "call 2": "call [N]"}[e.Prompt]
		return nil
	}})
	if want := []string{"call [N]=x"}; !reflect.DeepEqual(pairs(d), want) || len(seen) != 3 || seen[0] != "call 1" {
		t.Errorf("got %q after %q", pairs(d), seen)
	}
	if d.Counts.Rejected[datasets.EmptyPrompt] != 1 {
		t.Errorf("rejected %v", d.Counts.Rejected)
	}
	_, err := datasets.Make(t.Context(), t.TempDir(), o, datasets.Hooks{Transform: func(*datasets.Example) error { return errors.New("no vault") }})
	wantError(t, "transform", err, "rows.jsonl: row 0: no vault")
}

// A call that ends early leaves scratch alone behind, which the next one clears.
func TestMakeAfterAKill(t *testing.T) {
	o := options(numbered(t, "rows.jsonl", 3000))
	o.Deduplicate = &datasets.Deduplicate{On: datasets.OnPrompt}
	dir, scratch := t.TempDir(), t.TempDir()
	os.MkdirAll(filepath.Join(scratch, "dataset"), 0o777)
	os.WriteFile(filepath.Join(scratch, "dataset", "train.texts"), []byte("half an exa"), 0o666)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := datasets.Make(ctx, dir, o, datasets.Hooks{Scratch: scratch, Transform: func(e *datasets.Example) error {
		if e.Row == 1500 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	d, err := datasets.Make(t.Context(), dir, o, datasets.Hooks{Scratch: scratch})
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if _, err := datasets.Make(t.Context(), other, o, datasets.Hooks{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"train.parquet", "dataset.json"} {
		a, _ := os.ReadFile(filepath.Join(dir, name))
		b, _ := os.ReadFile(filepath.Join(other, name))
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%s differs", name)
		}
	}
	if d.Len("train") >= 3000 || d.Counts.Dropped["train"][datasets.ExactDuplicate] == 0 {
		t.Errorf("counts %+v", d.Counts)
	}
}

func TestStatistics(t *testing.T) {
	var rows []string
	for i := 1; i <= 2000; i++ {
		rows = append(rows, rowOf(strings.Repeat("é ", i)+"z", "one two"))
	}
	s := load(t, options(lines(t, "rows.jsonl", rows...))).Statistics["train"]
	within := func(got, want int) bool { return got <= want && float64(got) >= 0.996*float64(want)-1 }
	c := s.PromptChars
	if c.Min != 3 || c.Max != 4001 || c.Mean != 2002 || !within(c.P50, 2001) || !within(c.P95, 3801) || !within(c.P99, 3961) {
		t.Errorf("chars %+v", c)
	}
	if w := s.PromptWords; w.Min != 2 || w.Max != 2001 || !within(w.P50, 1001) {
		t.Errorf("words %+v", w)
	}
	if w := s.ResponseWords; w.P50 != 2 || w.P99 != 2 || s.Labels["one two"] != 2000 {
		t.Errorf("responses %+v", s)
	}
}

// words makes texts of words that no other text has.
func wordsOf(from, n int) string {
	var w []string
	for i := range n {
		w = append(w, fmt.Sprintf("w%d", from+i))
	}
	return strings.Join(w, " ")
}

func TestNearDuplicates(t *testing.T) {
	long := wordsOf(1000, 100)
	rows := []string{rowOf(long, "x"), rowOf(wordsOf(5000, 100), "x"), rowOf(long+" more", "x"), rowOf("Other "+long, "y"), rowOf("short 1", "x"), rowOf("brief 2", "x")}
	for _, c := range []struct {
		name string
		edit func(*datasets.Options)
		want int
	}{
		{"similar", func(*datasets.Options) {}, 4},
		// What a template puts around all prompts makes none of them similar.
		{"in a long template", func(o *datasets.Options) { o.Template = wordsOf(0, 300) + " {text} " + wordsOf(300, 300) }, 4},
		{"almost equal alone", func(o *datasets.Options) { o.Deduplicate.Near = 1 }, 6},
	} {
		o := options(lines(t, "rows.jsonl", rows...))
		o.Deduplicate = &datasets.Deduplicate{Near: 0.8, On: datasets.OnPrompt}
		c.edit(&o)
		d := load(t, o)
		if d.Len("train") != c.want || d.Counts.Dropped["train"][datasets.NearDuplicate] != len(rows)-c.want || d.Splits["train"][0].Row != 0 {
			t.Errorf("%s: %v, dropped %v", c.name, d.Counts.Examples, d.Counts.Dropped)
		}
	}
	o := options()
	o.Files = map[string][]string{"train": {lines(t, "a.jsonl", rows...)}, "test": {lines(t, "b.jsonl", rowOf(long+" again", "x"))}}
	o.Deduplicate = &datasets.Deduplicate{Near: 0.8, On: datasets.OnPrompt}
	if d := load(t, o); d.Len("test") != 1 || d.Len("train") != 3 {
		t.Errorf("training does not give way: %v", d.Counts.Examples)
	}
}

func TestDecontaminate(t *testing.T) {
	rows := []string{
		rowOf("clean "+wordsOf(0, 50), "x"),
		rowOf("before "+wordsOf(100, 20)+" behind", "x"),            // shares 20 words with the test
		rowOf("before "+wordsOf(100, 12)+" behind", "x"),            // only 12
		rowOf("Q", "so: "+strings.ToUpper(wordsOf(200, 13))+", ok"), // with a file
		rowOf("Q2 "+wordsOf(300, 15), "x"),                          // with a text of the caller
		rowOf("five words in a row: one two three four five", "x"),  // with a short text
	}
	o := options()
	o.Files = map[string][]string{"train": {lines(t, "a.jsonl", rows...)}, "test": {lines(t, "b.jsonl", rowOf(wordsOf(100, 30), "x"), rowOf(wordsOf(900, 30), "x"))}}
	o.Decontaminate = &datasets.Decontaminate{Columns: []string{"question", "answer"},
		Against: []string{lines(t, "bench.jsonl", fmt.Sprintf(`{"question": "One, two, three, four, FIVE?", "answer": %q}`, wordsOf(190, 40)), `{"question":null,"answer":"z"}`)}}
	o.Template = wordsOf(5000, 30) + " {text}" // in training and test alike
	h := datasets.Hooks{Against: func(yield func(string, error) bool) { yield(wordsOf(295, 40), nil) }}
	d := loadWith(t, o, h)
	var kept []int
	for _, e := range d.Splits["train"] {
		kept = append(kept, e.Row)
	}
	if want := []int{0, 2}; !reflect.DeepEqual(kept, want) || d.Counts.Dropped["train"][datasets.Contaminated] != 4 || d.Len("test") != 2 {
		t.Errorf("kept %v, want %v; dropped %v", kept, want, d.Counts.Dropped)
	}
	c := d.Contamination
	if c.Texts != 6 || c.TooShort != 1 || c.TextsFound != 4 || c.TextsWhole != 1 || c.Examples != 6 || c.Matching != 4 || c.Dropped != 4 || len(c.Shared) != 4 {
		t.Errorf("contamination %+v", c)
	}
	if s := c.Shared[1]; s.Text != "bench.jsonl row 0" || !strings.Contains(s.Words, "W200 W201") {
		t.Errorf("shared %+v", c.Shared)
	}
	if a := d.Rule().Decontaminate.Against; a[0] != "bench.jsonl" {
		t.Errorf("the rule names %v", a)
	}
	// Labels of many words are in training and test alike.
	o = options()
	label := "a label of more than five words"
	o.Files = map[string][]string{"train": {lines(t, "c.jsonl", rowOf("one", label), rowOf("two", label))}, "test": {lines(t, "d.jsonl", rowOf("three", label))}}
	o.Decontaminate = &datasets.Decontaminate{}
	if d := load(t, o); d.Len("train") != 2 {
		t.Errorf("a label contaminates: %v", d.Counts.Dropped)
	}
	o.Decontaminate = &datasets.Decontaminate{Splits: []string{"valid"}}
	wantError(t, "no such split", fails(t, o), `decontaminate.splits: "valid": the dataset has "test", "train"`)
	o.Decontaminate = &datasets.Decontaminate{Against: []string{lines(t, "other.jsonl", `{"q":"x"}`)}}
	wantError(t, "another column", fails(t, o), "decontaminate.against: ", "other.jsonl: no column")
}

// Of equal prompts, whose hashes are equal, a limit takes the first.
func TestLimitOfEqualPrompts(t *testing.T) {
	var rows []string
	for i := range 10 {
		rows = append(rows, rowOf("same", fmt.Sprint(i)))
	}
	o := options(lines(t, "rows.jsonl", rows...))
	o.Limit = 3
	if got, want := pairs(load(t, o)), []string{"same=0", "same=1", "same=2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
