package eval_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/eval"
)

func tableOf(t *testing.T, r *eval.Report, format eval.Format) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Table(&out, format); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func writtenMarkdown(t *testing.T, r *eval.Report) string {
	t.Helper()
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, eval.MarkdownFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTables(t *testing.T) {
	items, subjects := worked()
	subjects[3].Parameters, subjects[3].FileBytes, subjects[3].Format = 480_000, 523_456, "gguf Q8_0"
	o := eval.Options{Benchmark: "help desk", Seed: 3, External: []eval.External{{Name: "scikit-learn", Metric: "accuracy", Value: 0.882}}}
	r := evaluate(t, o, items, subjects...)
	r.Timing = eval.Timing{Models: []eval.ModelTiming{{Name: "q8", Passes: []eval.PassTiming{{Pass: "choices", TokensPerSecond: 12345.6}}}}}
	text := tableOf(t, r, eval.FormatText)
	for _, want := range []string{"help desk: accuracy (10 items)", "│ teacher      │ teacher   │   80.0 % │ 49.0 to 94.3 % │",
		"523.5 kB", "12 346", "88.2 %", "external", "p vs teacher", "0.031"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	markdown := tableOf(t, r, eval.FormatMarkdown)
	if !strings.Contains(markdown, "### help desk: accuracy (10 items)\n\n| model |") {
		t.Errorf("markdown:\n%s", markdown)
	}
	if report := writtenMarkdown(t, r); !strings.Contains(report, "| q8 | gguf Q8_0 | 480 000 | 523.5 kB |") {
		t.Errorf("report.md does not say what q8 is:\n%s", report)
	}
	if err := r.Table(new(bytes.Buffer), "pdf"); err == nil || !strings.Contains(err.Error(), `"pdf"`) {
		t.Errorf("format pdf: %v", err)
	}
}

func TestFindings(t *testing.T) {
	items, subjects := worked()
	r := evaluate(t, eval.Options{Metrics: []string{"accuracy", "ece"}, Seed: 3}, items, subjects...)
	found := strings.Join(r.Findings(), "\n")
	for _, want := range []string{
		"accuracy: tuned keeps 87.5 % of the teacher's score (95 % interval ",
		"accuracy: q8 is not significantly different from tuned (p = 1, 1 corrected for 6 tests, 0 vs 1 discordant items, difference -10.00 points, 95 % interval ",
		"accuracy: tuned is not significantly different from base once corrected (p = 0.031, 0.16 corrected for 6 tests, 6 vs 0 discordant items",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("the findings lack %q:\n%s", want, found)
		}
	}
}

func TestFindingsNameTheDirection(t *testing.T) {
	references, wrong := make([]string, 40), make([]string, 40)
	for i := range references {
		references[i], wrong[i] = ab[i%2], ab[1-i%2]
	}
	good, bad := chooser(0.9, ab, references...), chooser(0.9, ab, wrong...)
	r := evaluate(t, eval.Options{Metrics: []string{"accuracy", "brier", "ece"}}, itemsOf(references...),
		named("t", eval.RoleTeacher, bad), named("s", eval.RoleStudent, good))
	report := writtenMarkdown(t, r)
	for _, want := range []string{"accuracy: s has no retention: the teacher's score is 0",
		"accuracy: s is significantly better than t (p <0.0001, 40 vs 0",
		"brier: s is significantly better than t (p = 0.001", "ece: s was not tested against t (difference -80.00 points)"} {
		if !strings.Contains(report, want) {
			t.Errorf("report.md lacks %q:\n%s", want, report)
		}
	}
}

func TestHostileNames(t *testing.T) {
	const hostile = "a|b\n| c | <script>x</script> [l](https://e.example) `c` **b** \x1b[31m \u202e_u_ q4_k_m @me www.e.example \\|"
	items, subjects := worked()
	subjects[2].Name, subjects[2].Artifact, subjects[2].Format = hostile, hostile, hostile
	subjects[3].Reference = hostile
	r := evaluate(t, eval.Options{Benchmark: hostile, External: []eval.External{{Name: hostile, Metric: "accuracy", Value: 0.5, Source: hostile}}}, items, subjects...)
	data := writtenMarkdown(t, r)
	for _, bad := range []string{"<script>", "](", "https://", "`c`", "**b**", "\x1b", "\u202e", " _u_", "@me", "www.", "a|b"} {
		if strings.Contains(data, bad) {
			t.Errorf("report.md contains %q", bad)
		}
	}
	if !strings.Contains(data, "q4_k_m") {
		t.Error("report.md lost the readable q4_k_m")
	}
	columns := 0
	for _, line := range strings.Split(data, "\n") {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		if n := strings.Count(line, "|"); columns == 0 {
			columns = n
		} else if n != columns {
			t.Errorf("a row of %d bars in a table of %d: %s", n, columns, line)
		}
	}
	for _, text := range append(r.Findings(), tableOf(t, r, eval.FormatText)) {
		if strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("a control character reaches the terminal: %q", text)
		}
	}
}

func TestEachKindOfCharacterIsMadeVisible(t *testing.T) {
	for name, want := range map[string]string{
		"plain ü 語": "plain ü 語", "line\nbreak": `line\nbreak`, "esc\x1b[31m": `esc\x1b[31m`,
		"turned\u202ename": `turned\u202ename`, "zero\u200bwidth": `zero\u200bwidth`, "tab\t": `tab\t`,
	} {
		m := chooser(0.9, ab, "a", "b")
		r := evaluate(t, eval.Options{External: []eval.External{{Name: name, Metric: "accuracy", Value: 1}}},
			itemsOf("a", "b"), named("m", eval.RoleOther, m))
		if text := tableOf(t, r, eval.FormatText); !strings.Contains(text, "│ "+want+" ") {
			t.Errorf("%q does not show as %s:\n%s", name, want, text)
		}
	}
}

func TestFindingsNameWhatIsNotWhole(t *testing.T) {
	tied := &fake{labels: ab, nats: map[string][]float64{"p0": {-1, -1}, "p1": {-1, -2}}, answers: map[string]string{},
		responses: map[string]eval.Scored{"p0": {Nats: math.Inf(-1), Tokens: 1}, "p1": {Nats: -1, Tokens: 1}}}
	o := eval.Options{Metrics: []string{"accuracy", "exact_match", "perplexity"}, MaxNewTokens: 1}
	r := evaluate(t, o, itemsOf("a", "b"), named("m", eval.RoleOther, tied))
	found := strings.Join(r.Findings(), "\n")
	for _, want := range []string{
		"accuracy: m had equally likely choices on 1 of 2 items",
		"perplexity: not measured for m: its value is not finite",
		"exact_match: 2 of 2 answers of m were cut at 1 tokens",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("the findings lack %q:\n%s", want, found)
		}
	}
	if text := tableOf(t, r, eval.FormatText); !strings.Contains(text, "not measured") {
		t.Errorf("the table does not say that perplexity was not measured:\n%s", text)
	}
}
