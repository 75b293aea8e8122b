package distill_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

func TestKeysTellRequestsApart(t *testing.T) {
	empty, text := "", "x"
	warm := model.Sampling{Temperature: 1}
	seen := map[distill.Key]int{}
	for i, c := range []struct {
		teacher string
		request distill.Request
	}{
		{"a", distill.Request{Prompt: "x"}},
		{"b", distill.Request{Prompt: "x"}},
		{"ax", distill.Request{}}, // the boundary of two texts counts
		{"a", distill.Request{Prompt: "x\x00"}},
		{"a", distill.Request{Prompt: "x\xff"}}, // nor are invalid bytes all alike
		{"a", distill.Request{Prompt: "x\xfe"}},
		{"a", distill.Request{Prompt: "x", Given: &empty}},
		{"a", distill.Request{Prompt: "x", Given: &text}},
		{"a", distill.Request{Prompt: "x", MaxTokens: 255}},
		{"a", distill.Request{Prompt: "x", TopK: 1}},
		{"a", distill.Request{Prompt: "x", Sampling: warm}},
		{"a", distill.Request{Prompt: "x", Sampling: warm, Seed: 1}},
		{"a", distill.Request{Prompt: "x", Sampling: model.Sampling{Temperature: 1, TopK: 5}}},
		{"a", distill.Request{Prompt: "x", Sampling: model.Sampling{Temperature: 1, TopP: 0.5}}},
		{"a", distill.Request{Prompt: "x", Sampling: model.Sampling{Temperature: 1, MinP: 0.5}}},
		{"a", distill.Request{Prompt: "x", Sampling: model.Sampling{Temperature: 1, RepetitionPenalty: 0.5}}},
		{"a", distill.Request{Prompt: "x", Sampling: model.Sampling{Temperature: 1, MinP: 0.5, RepetitionPenalty: 0.5}}},
		{"a", distill.Request{Prompt: "x", Sampling: model.Sampling{RepetitionPenalty: 0.5}}}, // greedy, and yet another answer
	} {
		key := c.request.Key(c.teacher)
		if j, ok := seen[key]; ok {
			t.Errorf("requests %d and %d have one key", i, j)
		}
		seen[key] = i
	}
}

func TestKeysOfRequestsForOneAnswer(t *testing.T) {
	given := "y"
	for _, c := range []struct {
		name string
		a, b distill.Request
	}{
		{"default length", distill.Request{}, distill.Request{MaxTokens: 256}},
		{"greedy has no seed", distill.Request{}, distill.Request{Seed: 7, Sampling: model.Sampling{TopK: 4, TopP: 0.3, MinP: 0.1}}},
		{"no penalty", distill.Request{}, distill.Request{Sampling: model.Sampling{RepetitionPenalty: 1}}},
		{"all of the probability", distill.Request{Sampling: model.Sampling{Temperature: 1}}, distill.Request{Sampling: model.Sampling{Temperature: 1, TopP: 1}}},
		{"nothing is generated", distill.Request{Given: &given}, distill.Request{Given: &given, MaxTokens: 3, Seed: 5, Sampling: model.Sampling{Temperature: 1, MinP: 0.1, RepetitionPenalty: 2}}},
	} {
		if c.a.Key("t") != c.b.Key("t") {
			t.Errorf("%s: keys differ", c.name)
		}
	}
}

// Paid answers are found by these keys: they must never change.
func TestKeysStayWhatTheyWere(t *testing.T) {
	given := "y"
	for want, r := range map[string]distill.Request{
		"9cbe4754165d313d34969159a2b97311220173392bbac627ad214dc67c3dc41b": {Prompt: "x"},
		"57a97d70ba6941e39978b688f8583c13d85779a54119d460d176aaeecbe1637b": {Prompt: "x", MaxTokens: 9, TopK: 3},
		"c50d3ee84ad27c157d9a51bb6fab69de486ae5c5206d0b5b9eca5248d97e29f7": {Prompt: "x", Seed: 7, Sampling: model.Sampling{Temperature: 0.7, TopK: 40, TopP: 0.9}},
		"409f18a37574557cfb4d2b33bbb6f5bafaa4d048f4b99df786e1bc110c794722": {Prompt: "x", Given: &given, TopK: 2},
	} {
		if got := r.Key("t").String(); got != want {
			t.Errorf("%+v: key %s, want %s", r, got, want)
		}
	}
}

func TestRequestValidate(t *testing.T) {
	err := distill.Request{MaxTokens: -1, TopK: -2, Sampling: model.Sampling{Temperature: -1, MinP: 2, RepetitionPenalty: -3}}.Validate()
	for _, want := range []string{"max_tokens: -1", "top_k: -2", "temperature: -1", "min_p: 2", "repetition_penalty: -3"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestOptionsValidate(t *testing.T) {
	for _, c := range []struct {
		options distill.Options
		want    string // empty: valid
	}{
		{distill.Options{}, ""},
		{distill.Options{Alpha: new(0.0), Temperature: 2, Divergence: distill.JSD, Beta: new(0.0)}, ""},
		{distill.Options{Divergence: distill.ReverseKL}, ""},
		{distill.Options{Alpha: new(1.01)}, "alpha: 1.01: want a number from 0 to 1"},
		{distill.Options{Alpha: new(-0.1)}, "alpha: -0.1"},
		{distill.Options{Temperature: -1}, "temperature: -1"},
		{distill.Options{Temperature: 0.001}, "temperature: 0.001"},
		{distill.Options{Divergence: "kl"}, `divergence: "kl": want forward_kl, reverse_kl, jsd or uld`},
		{distill.Options{Beta: new(0.5)}, "beta: only divergence jsd has it"},
		{distill.Options{Divergence: distill.JSD, Beta: new(2.0)}, "beta: 2"},
	} {
		err := c.options.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v, want %q", c.options, err, c.want)
		}
	}
	all := distill.Options{Alpha: new(2.0), Temperature: -1, Divergence: "x"}.Validate()
	if all == nil || strings.Count(all.Error(), "\n") != 2 {
		t.Errorf("three faults: %v", all)
	}
}

func TestOptionsHaveTagsAndDefaults(t *testing.T) {
	o := reflect.TypeFor[distill.Options]()
	for i := range o.NumField() {
		if o.Field(i).Tag.Get("yaml") == "" {
			t.Errorf("%s has no recipe key", o.Field(i).Name)
		}
	}
	d := distill.Options{}.WithDefaults()
	if *d.Alpha != 1 || d.Temperature != 1 || d.Divergence != distill.ForwardKL || d.Beta != nil {
		t.Errorf("defaults %+v", d)
	}
	if j := (distill.Options{Alpha: new(0.0), Divergence: distill.JSD}).WithDefaults(); *j.Alpha != 0 || *j.Beta != 0.5 {
		t.Errorf("defaults of jsd %+v", j)
	}
	if !reflect.DeepEqual(d.WithDefaults(), d) {
		t.Error("defaults of defaults differ")
	}
}
