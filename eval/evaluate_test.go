package eval_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/eval"
)

var ab = []string{"a", "b"}

// Ten items: the teacher is right on 0–7, the base on 0, the student on 0–5 and 8, q8 as
// the student but for item 5.
func worked() ([]datasets.Example, []eval.NamedSubject) {
	items := itemsOf("a", "a", "a", "a", "b", "b", "b", "b", "a", "b")
	teacher := named("teacher", eval.RoleTeacher, chooser(0.9, ab, "a", "a", "a", "a", "b", "b", "b", "b", "b", "a"))
	base := named("base", eval.RoleBase, chooser(0.6, ab, "a", "b", "b", "b", "a", "a", "a", "a", "b", "a"))
	tuned := named("tuned", eval.RoleStudent, chooser(0.8, ab, "a", "a", "a", "a", "b", "b", "a", "a", "a", "a"))
	tuned.Reference = "base"
	q8 := named("q8", eval.RoleQuantized, chooser(0.8, ab, "a", "a", "a", "a", "b", "a", "a", "a", "a", "a"))
	q8.Reference = "tuned"
	return items, []eval.NamedSubject{teacher, base, tuned, q8}
}

func TestWorkedReport(t *testing.T) {
	items, subjects := worked()
	o := eval.Options{Metrics: []string{"accuracy", "macro_f1", "ece", "brier"}, Seed: 3}
	r := evaluate(t, o, items, subjects...)

	for name, want := range map[string]float64{"teacher": 0.8, "base": 0.1, "tuned": 0.7, "q8": 0.6} {
		near(t, name+" accuracy", metricOf(t, r, name, "accuracy").Value, want)
	}
	// The teacher: a is right 4 of 5 true and 5 predicted, b likewise.
	near(t, "teacher macro F1", metricOf(t, r, "teacher", "macro_f1").Value, 0.8)
	// All its probabilities are 0.9: one bin, gap |0.8 − 0.9|.
	near(t, "teacher ece", metricOf(t, r, "teacher", "ece").Value, 0.1)
	near(t, "teacher brier", metricOf(t, r, "teacher", "brier").Value, 0.8*0.01+0.2*0.81)

	tuned := metricOf(t, r, "tuned", "accuracy")
	near(t, "retention", *tuned.Retention.Value, 0.7/0.8)
	if iv := tuned.Retention.Interval; !(iv.Low < 0.875 && iv.High > 0.875 && iv.Method == eval.MethodBootstrap) {
		t.Errorf("retention interval %+v does not hold 0.875", iv)
	}
	wilson := eval.Wilson(7, 10, 0.95)
	if *tuned.Interval != wilson {
		t.Errorf("interval %+v, want %+v", *tuned.Interval, wilson)
	}

	c := comparisonOf(t, r, "tuned", "accuracy", "teacher")
	want := eval.Pairs{BothRight: 6, OnlyModel: 1, OnlyOther: 2, NoneRight: 1, SameAnswer: 7}
	if *c.Pairs != want {
		t.Errorf("tuned against teacher: %+v, want %+v", *c.Pairs, want)
	}
	near(t, "p", *c.P, 1) // 1 and 2 of 3: 2·(1+3)/8
	near(t, "agreement", *c.Agreement, 0.7)
	near(t, "difference", c.Difference, -0.1)
	near(t, "q8 against tuned", *comparisonOf(t, r, "q8", "accuracy", "tuned").P, 1)
	near(t, "tuned against base", *comparisonOf(t, r, "tuned", "accuracy", "base").P, 2.0/64)

	if n := len(metricOf(t, r, "teacher", "accuracy").Comparisons); n != 0 {
		t.Errorf("the teacher is compared %d times", n)
	}
	if c := comparisonOf(t, r, "tuned", "ece", "teacher"); c.P != nil || c.Interval != nil {
		t.Errorf("ece was tested: %+v", c)
	}
}

func TestHolmCoversTheTestsOfAMetric(t *testing.T) {
	items, subjects := worked()
	o := eval.Options{Metrics: []string{"accuracy", "brier"}}
	r := evaluate(t, o, items, subjects...)
	for _, name := range o.Metrics {
		var p, holm []float64
		for _, m := range r.Models {
			for _, c := range metricOf(t, r, m.Name, name).Comparisons {
				p, holm = append(p, *c.P), append(holm, *c.PHolm)
			}
		}
		// base–teacher; tuned–teacher, –base; q8–teacher, –base, –tuned.
		if len(p) != 6 || !slices.Equal(holm, eval.Holm(p)) {
			t.Errorf("%s: tests of %v: %v, want %v", name, p, holm, eval.Holm(p))
		}
	}
}

func TestWhatIsComparedWithWhat(t *testing.T) {
	items, subjects := worked()
	same := subjects[0].Subject
	subjects = append(subjects, named("words", eval.RoleBaseline, same), named("other", eval.RoleOther, same))
	r := evaluate(t, eval.Options{}, items, subjects...)
	for name, want := range map[string][]string{
		"teacher": nil, "base": {"teacher"}, "tuned": {"teacher", "base", "words"},
		"q8": {"teacher", "base", "tuned"}, "words": {"teacher"}, "other": {"teacher", "base"},
	} {
		var got []string
		for _, c := range metricOf(t, r, name, "accuracy").Comparisons {
			got = append(got, c.Against)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is compared with %v, want %v", name, got, want)
		}
	}
}

func TestAccuracyNormDividesByBytes(t *testing.T) {
	labels := []string{"aa", "éé"} // 2 and 4 bytes
	f := &fake{labels: labels, nats: map[string][]float64{"p0": {-3, -4}, "p1": {-1, -4}}}
	r := evaluate(t, eval.Options{Metrics: []string{"accuracy", "accuracy_norm"}, Labels: labels},
		itemsOf("éé", "aa"), named("m", eval.RoleOther, f))
	near(t, "accuracy", metricOf(t, r, "m", "accuracy").Value, 0.5)
	near(t, "accuracy_norm", metricOf(t, r, "m", "accuracy_norm").Value, 1)
}

func TestTiesTakeTheFirstLabelAndAreCounted(t *testing.T) {
	labels := []string{"z", "yy", "x"}
	f := &fake{labels: labels, nats: map[string][]float64{"p0": {-1, -2, -1}, "p1": {-3, -1, -2}, "p2": {-1, -1, -1}}}
	r := evaluate(t, eval.Options{Metrics: []string{"accuracy", "accuracy_norm"}, Labels: labels},
		itemsOf("z", "yy", "z"), named("m", eval.RoleOther, f))
	near(t, "accuracy", metricOf(t, r, "m", "accuracy").Value, 1)
	// Three equals on one item are one item.
	if n := metricOf(t, r, "m", "accuracy").Ties; n != 2 {
		t.Errorf("accuracy: %d ties, want 2", n)
	}
	// Per byte, item 0 is −1, −1, −1, and item 2 has yy alone in front.
	if n := metricOf(t, r, "m", "accuracy_norm").Ties; n != 1 {
		t.Errorf("accuracy_norm: %d ties, want 1", n)
	}
}

func TestExactMatch(t *testing.T) {
	f := &fake{answers: map[string]string{"p0": " Yes\n", "p1": "no", "p2": "maybe not"}}
	items := itemsOf("yes", "no ", "maybe")
	for _, c := range []struct {
		name string
		o    eval.Options
		want float64
		cut  int
	}{
		{"as written", eval.Options{}, 1.0 / 3, 0},
		{"without case", eval.Options{IgnoreCase: true}, 2.0 / 3, 0},
		{"cut", eval.Options{MaxNewTokens: 1}, 1.0 / 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Metrics = []string{"exact_match"}
			r := evaluate(t, c.o, items, named("m", eval.RoleOther, f))
			near(t, "exact match", metricOf(t, r, "m", "exact_match").Value, c.want)
			if got := modelOf(t, r, "m").Cut; got != c.cut {
				t.Errorf("%d answers cut, want %d", got, c.cut)
			}
		})
	}
}

func TestPerplexityAndBitsPerByte(t *testing.T) {
	f := &fake{responses: map[string]eval.Scored{"p0": {Nats: -1, Tokens: 1}, "p1": {Nats: -5, Tokens: 2}}}
	r := evaluate(t, eval.Options{Metrics: []string{"perplexity", "bits_per_byte"}},
		itemsOf("ab", "éé"), named("m", eval.RoleOther, f)) // 2 and 4 bytes
	near(t, "perplexity", metricOf(t, r, "m", "perplexity").Value, math.Exp(2))
	near(t, "bits per byte", metricOf(t, r, "m", "bits_per_byte").Value, 1/math.Ln2)
}

func TestImpossibleReferenceLeavesPerplexityOut(t *testing.T) {
	f := &fake{responses: map[string]eval.Scored{"p0": {Nats: math.Inf(-1), Tokens: 1}, "p1": {Nats: -1, Tokens: 1}}}
	r := evaluate(t, eval.Options{Metrics: []string{"perplexity"}}, itemsOf("a", "b"), named("m", eval.RoleOther, f))
	m := modelOf(t, r, "m")
	if len(m.Metrics) != 0 || len(m.Missing) != 1 || !strings.Contains(m.Missing[0].Reason, "not finite") {
		t.Errorf("metrics %+v, missing %+v", m.Metrics, m.Missing)
	}
}

func TestRetentionOfNothing(t *testing.T) {
	items := itemsOf("a", "b")
	wrong, right := chooser(0.9, ab, "b", "a"), chooser(0.9, ab, "a", "b")
	r := evaluate(t, eval.Options{}, items, named("t", eval.RoleTeacher, wrong), named("s", eval.RoleStudent, right))
	kept := metricOf(t, r, "s", "accuracy").Retention
	if kept.Value != nil || kept.Interval != nil || !strings.Contains(kept.Undefined, "score is 0") {
		t.Errorf("retention of a teacher that is always wrong: %+v", kept)
	}
	// Right on one of two items: some resample has only the other.
	half := chooser(0.9, ab, "a", "a")
	r = evaluate(t, eval.Options{}, items, named("t", eval.RoleTeacher, half), named("s", eval.RoleStudent, right))
	kept = metricOf(t, r, "s", "accuracy").Retention
	if kept.Value == nil || *kept.Value != 2 || kept.Interval != nil || !strings.Contains(kept.Undefined, "of 2000 resamples") {
		t.Errorf("retention of a teacher that can score 0: %+v", kept)
	}
}

func TestOneItemHasNoBootstrap(t *testing.T) {
	items := itemsOf("a")
	r := evaluate(t, eval.Options{Labels: ab, Metrics: []string{"accuracy", "brier"}}, items,
		named("t", eval.RoleTeacher, chooser(0.9, ab, "a")), named("s", eval.RoleStudent, chooser(0.9, ab, "a")))
	if iv := metricOf(t, r, "s", "brier").Interval; iv != nil {
		t.Errorf("brier of one item has the interval %+v", iv)
	}
	if kept := metricOf(t, r, "s", "accuracy").Retention; kept.Interval != nil || kept.Undefined == "" {
		t.Errorf("retention of one item: %+v", kept)
	}
}

func TestUnsupportedCallsAreMissingMetrics(t *testing.T) {
	items := itemsOf("a", "b", "a")
	words, err := eval.TrainBagOfWords(t.Context(), items, 1)
	if err != nil {
		t.Fatal(err)
	}
	var last, total int
	o := eval.Options{Metrics: []string{"accuracy", "perplexity"}, Batch: 1}
	r, err := eval.Evaluate(t.Context(), o, items, []eval.NamedSubject{
		named("words", eval.RoleBaseline, words), named("m", eval.RoleTeacher, chooser(0.9, ab, "a", "b", "a")),
	}, func(done, all int) {
		if done <= last || all != 12 {
			t.Errorf("progress %d of %d after %d", done, all, last)
		}
		last, total = done, all
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != total {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	m := modelOf(t, r, "words")
	if len(m.Missing) != 1 || m.Missing[0].Metric != "perplexity" || !strings.HasPrefix(m.Missing[0].Reason, "bag-of-words gives") {
		t.Errorf("missing: %+v", m.Missing)
	}
	if len(m.Metrics) != 1 || len(r.Timing.Models[0].Passes) != 1 {
		t.Errorf("metrics %+v, passes %+v: want accuracy alone", m.Metrics, r.Timing.Models[0].Passes)
	}
}

func TestOrderOfModelsAndBatchesChangeNoNumber(t *testing.T) {
	items, subjects := worked()
	o := eval.Options{Metrics: eval.MetricNames(), Seed: 5, Batch: 3}
	first := evaluate(t, o, items, subjects...)
	slices.Reverse(subjects)
	o.Batch = 10
	second := evaluate(t, o, items, subjects...)
	for _, m := range first.Models {
		if other := modelOf(t, second, m.Name); !reflect.DeepEqual(m, other) {
			t.Errorf("%s differs:\n%+v\n%+v", m.Name, m, other)
		}
	}
	if first.ItemsHash != second.ItemsHash {
		t.Error("the items' hash differs")
	}
}

func TestLimitDrawsFromAllItems(t *testing.T) {
	var references, predictions []string
	for i := range 40 {
		references = append(references, ab[i/20]) // sorted, as many files are
		predictions = append(predictions, "a")
	}
	items := itemsOf(references...)
	f := chooser(0.9, ab, predictions...)
	r := evaluate(t, eval.Options{Limit: 20, Batch: 8}, items, named("m", eval.RoleOther, f))
	if r.Items != 20 || len(r.Rows) != 20 || !slices.Equal(f.batches, []int{8, 8, 4}) {
		t.Fatalf("%d items, %d rows, batches %v", r.Items, len(r.Rows), f.batches)
	}
	share := metricOf(t, r, "m", "accuracy").Value
	if !(share > 0.2 && share < 0.8) {
		t.Errorf("%v of the drawn items are of the first class", share)
	}
	inOrder := slices.IsSortedFunc(r.Rows, func(x, y eval.Row) int {
		return slices.IndexFunc(items, func(e datasets.Example) bool { return e.ID == x.ItemID }) -
			slices.IndexFunc(items, func(e datasets.Example) bool { return e.ID == y.ItemID })
	})
	if !inOrder {
		t.Error("the drawn items lost their order")
	}
	if again := evaluate(t, eval.Options{Limit: 20}, items, named("m", eval.RoleOther, f)); again.ItemsHash != r.ItemsHash {
		t.Error("the same seed drew other items")
	}
	if other := evaluate(t, eval.Options{Limit: 20, Seed: 1}, items, named("m", eval.RoleOther, f)); other.ItemsHash == r.ItemsHash {
		t.Error("another seed drew the same items")
	}
}

func TestCancelStopsBetweenBatches(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := chooser(0.9, ab, "a", "b", "a")
	_, err := eval.Evaluate(ctx, eval.Options{Batch: 1}, itemsOf("a", "b", "a"),
		[]eval.NamedSubject{named("m", eval.RoleOther, f)}, func(int, int) { cancel() })
	if !errors.Is(err, context.Canceled) || len(f.batches) != 1 {
		t.Errorf("error %v after %d batches, want a cancel after 1", err, len(f.batches))
	}
}

func TestBrokenSubjectsAreNamed(t *testing.T) {
	rows := func(row ...float64) *fake {
		return &fake{scoreChoices: func(prompts []datasets.Question, _ []string) ([][]float64, []int, error) {
			out := make([][]float64, len(prompts))
			for i := range out {
				out[i] = []float64{-1, -2}
			}
			out[len(out)-1] = row
			return out, []int{1, 1}, nil
		}}
	}
	fails := &fake{scoreChoices: func([]datasets.Question, []string) ([][]float64, []int, error) {
		return nil, nil, errors.New("out of memory")
	}}
	for _, c := range []struct {
		name    string
		subject *fake
		metric  string
		want    string
	}{
		{"not a number", rows(math.NaN(), -1), "accuracy", `evaluate m: choices: item "t1" (test.parquet: row 1): choice "a": log-likelihood NaN`},
		{"above zero", rows(-1, 0.7), "accuracy", `choice "b": log-likelihood 0.7: want a number of at most 0`},
		{"infinite", rows(math.Inf(1), -1), "accuracy", "log-likelihood +Inf"},
		{"nothing possible", rows(math.Inf(-1), math.Inf(-1)), "accuracy", "every choice has the log-likelihood −Inf"},
		{"short row", rows(-1), "accuracy", `item "t1" (test.parquet: row 1): the model returned 1 scores for 2`},
		{"error", fails, "accuracy", `evaluate m: choices: from item "t0" (test.parquet: row 0): out of memory`},
		{"no tokens", &fake{}, "perplexity", `item "t0" (test.parquet: row 0): the reference has 0 tokens`},
		{"reference not a number", &fake{responses: map[string]eval.Scored{"p0": {Nats: math.NaN(), Tokens: 1}}}, "perplexity", "log-likelihood NaN of the reference"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := eval.Evaluate(t.Context(), eval.Options{Metrics: []string{c.metric}}, itemsOf("a", "b"),
				[]eval.NamedSubject{named("m", eval.RoleOther, c.subject)}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to contain %q", err, c.want)
			}
		})
	}
}

func TestRequestsThatCannotBeEvaluated(t *testing.T) {
	m := named("m", eval.RoleOther, chooser(0.9, ab, "a", "b"))
	var distinct []string
	for i := range 1001 {
		distinct = append(distinct, fmt.Sprint("answer ", i))
	}
	for _, c := range []struct {
		name     string
		o        eval.Options
		items    []datasets.Example
		subjects []eval.NamedSubject
		want     string
	}{
		{"no items", eval.Options{}, nil, []eval.NamedSubject{m}, "no items to evaluate"},
		{"no models", eval.Options{}, itemsOf("a", "b"), nil, "no models to evaluate"},
		{"unknown label", eval.Options{Labels: ab}, itemsOf("a", "c"), []eval.NamedSubject{m},
			`item "t1" (test.parquet: row 1): response "c" is not one of the 2 labels`},
		{"one label", eval.Options{}, itemsOf("a", "a"), []eval.NamedSubject{m}, `every item has the response "a"`},
		{"no label set", eval.Options{}, itemsOf(distinct...), []eval.NamedSubject{m}, "1001 distinct responses, which is no label set"},
		{"empty response", eval.Options{}, itemsOf("a", ""), []eval.NamedSubject{m}, `item "t1" (test.parquet: row 1): response: empty`},
		{"damaged text", eval.Options{}, itemsOf("a", "\xff"), []eval.NamedSubject{m}, "not valid UTF-8"},
		{"same name", eval.Options{}, itemsOf("a", "b"), []eval.NamedSubject{m, m}, `two models are named "m"`},
		{"two teachers", eval.Options{}, itemsOf("a", "b"),
			[]eval.NamedSubject{named("t", eval.RoleTeacher, m.Subject), named("u", eval.RoleTeacher, m.Subject)},
			`models "t" and "u" both have the role teacher`},
		{"no role", eval.Options{}, itemsOf("a", "b"), []eval.NamedSubject{named("m", "", m.Subject)}, `unknown role ""`},
		{"no subject", eval.Options{}, itemsOf("a", "b"), []eval.NamedSubject{named("m", eval.RoleOther, nil)}, `model "m" has no subject`},
		{"no baseline", eval.Options{Baseline: true}, itemsOf("a", "b"), []eval.NamedSubject{m}, "want a model with the role baseline"},
		{"strange reference", eval.Options{}, itemsOf("a", "b"),
			[]eval.NamedSubject{{Identity: eval.Identity{Name: "q", Role: eval.RoleQuantized, Reference: "gone"}, Subject: m.Subject}},
			`model "q": its reference "gone" is not another model`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := eval.Evaluate(t.Context(), c.o, c.items, c.subjects, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to contain %q", err, c.want)
			}
		})
	}
}
