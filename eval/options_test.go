package eval_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/eval"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		o    eval.Options
		want string // empty: valid
	}{
		{"zero value", eval.Options{}, ""},
		{"everything", eval.Options{Benchmark: "b", Metrics: eval.MetricNames(), Labels: ab, MaxNewTokens: 1, Batch: 1, Limit: 1,
			Seed: 1, Resamples: 1, Confidence: 0.99, External: []eval.External{{Name: "x", Metric: "accuracy", Value: 0.882}}}, ""},
		{"metric", eval.Options{Metrics: []string{"acuracy"}}, "metrics[0]: acuracy: want one of accuracy, accuracy_norm"},
		{"metric twice", eval.Options{Metrics: []string{"ece", "ece"}}, "metrics[1]: ece: want each metric once"},
		{"negative", eval.Options{Batch: -1}, "batch: -1: want a whole number from 0"},
		{"too many", eval.Options{Resamples: 2_000_000}, "bootstrap_resamples: 2000000: want"},
		{"tokens", eval.Options{MaxNewTokens: 1 << 30}, "max_new_tokens"},
		{"limit", eval.Options{Limit: -5}, "limit: -5"},
		{"percent for a share", eval.Options{Confidence: 95}, "confidence: 95: want a number from 0.5 to 0.9999"},
		{"confidence not a number", eval.Options{Confidence: math.NaN()}, "confidence: NaN"},
		{"one label", eval.Options{Labels: []string{"a"}}, "want at least two"},
		{"label twice", eval.Options{Labels: []string{"a", "b", "a"}}, `labels[2]: "a": want each label once`},
		{"empty label", eval.Options{Labels: []string{"a", ""}}, "labels[1]: want a text"},
		{"long name", eval.Options{Benchmark: strings.Repeat("x", 201)}, "benchmark: a long text: want at most 200"},
		{"external share", eval.Options{External: []eval.External{{Name: "x", Metric: "accuracy", Value: 88.2}}}, "external[0].value: 88.2: want a share from 0 to 1"},
		{"external metric", eval.Options{External: []eval.External{{Name: "x", Metric: "acc"}}}, "external[0].metric: acc"},
		{"external name", eval.Options{External: []eval.External{{Metric: "brier"}}}, "external[0].name"},
		{"external value", eval.Options{External: []eval.External{{Name: "x", Metric: "brier", Value: math.Inf(1)}}}, "external[0].value: +Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.o.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	err := eval.Options{Batch: -1, Limit: -1, Confidence: 2, Metrics: []string{"x"}, Labels: []string{"a"}}.Validate()
	for _, want := range []string{"batch", "limit", "confidence", "metrics[0]", "labels"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: no word about %s", err, want)
		}
	}
}

func TestEveryOptionHasItsNames(t *testing.T) {
	for _, of := range []reflect.Type{reflect.TypeFor[eval.Options](), reflect.TypeFor[eval.External]()} {
		for i := range of.NumField() {
			f := of.Field(i)
			yaml, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			json, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Name == "Seed" && yaml == "-" {
				continue // the recipe's own, in the report and no key of the stage
			}
			if yaml == "" || yaml != json {
				t.Errorf("%s.%s: yaml name %q, json name %q", of.Name(), f.Name, yaml, json)
			}
		}
	}
}

func TestDefaultsAreInTheReport(t *testing.T) {
	r := evaluate(t, eval.Options{}, itemsOf("b", "a"), named("m", eval.RoleOther, chooser(0.9, ab, "b", "a")))
	want := eval.Options{Benchmark: "benchmark", Metrics: []string{"accuracy"}, Labels: ab,
		MaxNewTokens: 256, Batch: 32, Resamples: 2000, Confidence: 0.95}
	if !reflect.DeepEqual(r.Options, want) {
		t.Errorf("options %+v, want %+v", r.Options, want)
	}
}
