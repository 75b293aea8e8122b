package datasets_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

// numbered writes n rows of which every third prompt repeats one before it.
func numbered(t *testing.T, name string, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"text\": \"prompt %d\", \"label\": \"l%d\"}\n", i-i%3/2, i%4)
	}
	return writeFile(t, name, b.String())
}

func prompts(examples []datasets.Example) map[string]bool {
	set := map[string]bool{}
	for _, e := range examples {
		set[e.Prompt] = true
	}
	return set
}

func TestSplitIsByPrompt(t *testing.T) {
	o := options(numbered(t, "rows.jsonl", 6000))
	o.Split = map[string]float64{"valid": 0.1, "test": 0.2}
	d := load(t, o)
	sides := []map[string]bool{prompts(d.Splits["train"]), prompts(d.Splits["valid"]), prompts(d.Splits["test"])}
	for prompt := range sides[0] {
		if sides[1][prompt] || sides[2][prompt] {
			t.Fatalf("%q is on two sides", prompt)
		}
	}
	for name, share := range map[string]float64{"train": 0.7, "valid": 0.1, "test": 0.2} {
		if got := float64(len(d.Splits[name])) / 6000; math.Abs(got-share) > 0.02 {
			t.Errorf("%s has a share of %.3f, want %.1f", name, got, share)
		}
	}
	o.SplitSeed = 1
	if again := load(t, o); reflect.DeepEqual(prompts(d.Splits["test"]), prompts(again.Splits["test"])) {
		t.Error("another seed gave the same split")
	}
}

// A row's side does not depend on the rows around it.
func TestSplitIsStable(t *testing.T) {
	o := options(numbered(t, "rows.jsonl", 900))
	o.Split = map[string]float64{"test": 0.3}
	all := prompts(load(t, o).Splits["test"])
	o.Files[""] = []string{numbered(t, "rows.jsonl", 300)}
	some := load(t, o)
	for _, e := range some.Splits["test"] {
		if !all[e.Prompt] {
			t.Errorf("%q changed sides", e.Prompt)
		}
	}
	for _, e := range some.Splits["train"] {
		if all[e.Prompt] {
			t.Errorf("%q changed sides", e.Prompt)
		}
	}
}

func TestFilesUnderSplits(t *testing.T) {
	o := options()
	o.Files = map[string][]string{"train": {numbered(t, "a.jsonl", 300)}, "test": {numbered(t, "b.jsonl", 30)}}
	d := load(t, o)
	if len(d.Splits["train"]) != 300 || len(d.Splits["test"]) != 30 {
		t.Errorf("counts %v", d.Counts.Examples)
	}
	o.Split = map[string]float64{"valid": 0.2}
	d = load(t, o)
	if len(d.Splits["test"]) != 30 || len(d.Splits["valid"]) == 0 || len(d.Splits["valid"])+len(d.Splits["train"]) != 300 {
		t.Errorf("divided train: counts %v", d.Counts.Examples)
	}
}

func TestPatterns(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl", "a.jsonl", "[odd].jsonl"} {
		text := fmt.Sprintf("{\"text\": %q, \"label\": \"x\"}\n", name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, e := range load(t, options(filepath.Join(dir, "[odd].jsonl"), filepath.Join(dir, "?.jsonl"))).Splits["train"] {
		got = append(got, e.Prompt)
	}
	if want := []string{"[odd].jsonl", "a.jsonl", "b.jsonl"}; !reflect.DeepEqual(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	err := fails(t, options(filepath.Join(dir, "*.jsonl"), filepath.Join(dir, ".", "a.jsonl")))
	wantError(t, "a file twice", err, "a.jsonl is listed twice")
}

// A limit takes a sample, not the head of a sorted file, and keeps the order.
func TestLimit(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "{\"text\": \"p%d\", \"label\": \"l%d\"}\n", i, i/250)
	}
	o := options(writeFile(t, "sorted.jsonl", b.String()))
	o.Limit = 100
	d := load(t, o)
	kept := d.Splits["train"]
	if len(kept) != 100 || d.Counts.Unused != 900 || d.Counts.Examples["train"] != 100 {
		t.Fatalf("kept %d, counts %+v", len(kept), d.Counts)
	}
	labels := map[string]int{}
	for i, e := range kept {
		labels[e.Response]++
		if i > 0 && e.Row <= kept[i-1].Row {
			t.Fatal("the order changed")
		}
	}
	for label, n := range labels {
		if n < 10 {
			t.Errorf("label %s has %d of 100", label, n)
		}
	}
	if len(labels) != 4 {
		t.Errorf("labels %v", labels)
	}
}
