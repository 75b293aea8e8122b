package eval_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/eval"
)

// writeWorked evaluates the worked example with every metric and writes it.
func writeWorked(t *testing.T) (*eval.Report, string) {
	t.Helper()
	items, subjects := worked()
	o := eval.Options{Metrics: eval.MetricNames(), Seed: 2, External: []eval.External{{Name: "published", Metric: "accuracy", Value: 0.882, Source: "a paper"}}}
	r := evaluate(t, o, items, subjects...)
	r.Data = []eval.DataNote{{Stage: "data|x", Counts: []eval.DataCount{{What: "near duplicates", Count: 123}}}}
	r.Timing.Answers = []eval.AnswersNote{{Stage: "answers", Teacher: "gpt", Answers: 9, Cached: 4, Fresh: 5, Fees: 0.12345}}
	dir := filepath.Join(t.TempDir(), "new", "report")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	return r, dir
}

func TestReadReportGivesBackWhatWasWritten(t *testing.T) {
	r, dir := writeWorked(t)
	got, err := eval.ReadReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := *r
	want.Rows = nil
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v\nwant %+v", *got, want)
	}
	if err := os.Remove(filepath.Join(dir, eval.TimingFile)); err != nil {
		t.Fatal(err)
	}
	if got, err = eval.ReadReport(dir); err != nil || got.Timing.Models != nil {
		t.Errorf("without timing.json: %v, %+v", err, got)
	}
}

func TestSameRunSameBytes(t *testing.T) {
	_, first := writeWorked(t)
	_, second := writeWorked(t)
	for _, name := range []string{eval.ReportFile, eval.ItemsFile} {
		a, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%s: %d and %d bytes that differ", name, len(a), len(b))
		}
	}
}

func TestWriteRefusesAReportWithoutRows(t *testing.T) {
	_, dir := writeWorked(t)
	r, err := eval.ReadReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "0 rows for 10 items of 4 models") {
		t.Errorf("got %v", err)
	}
}

func TestWriteNamesWhatItCouldNotWrite(t *testing.T) {
	r, _ := writeWorked(t)
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(blocked); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("got %v, want it to name %s", err, blocked)
	}
}

func TestRows(t *testing.T) {
	r, _ := writeWorked(t)
	if len(r.Rows) != 40 {
		t.Fatalf("%d rows, want 40", len(r.Rows))
	}
	row := r.Rows[8] // the teacher on item 8: b for a, at 0.9
	if row.Model != "teacher" || row.Item != 8 || row.ItemID != "t8" || row.Reference != "a" || *row.Prediction != "b" || *row.Correct || *row.Generated != "b" || *row.GeneratedCorrect || *row.Finish != eval.FinishStop {
		t.Errorf("row %+v", row)
	}
	near(t, "probability", *row.Probability, 0.9)
	near(t, "reference nats", *row.ReferenceNats, -2.302585092994045)
	near(t, "margin", *row.MarginNats, -2.1972245773362196)
	if *row.ReferenceTokens != 2 {
		t.Errorf("%d tokens, want those of the choice, 2", *row.ReferenceTokens)
	}

	alone := evaluate(t, eval.Options{Metrics: []string{"perplexity"}}, itemsOf("a", "b"), named("m", eval.RoleOther, chooser(0.9, ab, "a", "b")))
	row = alone.Rows[1]
	if row.Prediction != nil || row.Generated != nil || *row.ReferenceNats != -2 || *row.ReferenceTokens != 2 {
		t.Errorf("row of perplexity alone: %+v", row)
	}
}

func TestDamagedReports(t *testing.T) {
	_, dir := writeWorked(t)
	good, err := os.ReadFile(filepath.Join(dir, eval.ReportFile))
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		t.Helper()
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("report.json has no %q", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "unexpected end of JSON input"},
		{"cut", good[:len(good)/2], "unexpected end of JSON input"},
		{"two values", append(bytes.Clone(good), good...), "after top-level value"},
		{"newer", replace(`"schema": 1`, `"schema": 2`), "schema version 2; this program reads 1"},
		{"other JSON", []byte(`{"a": 1}`), "schema version 0"},
		{"unknown key", replace(`"items_sha256"`, `"item_hash"`), `unknown field "item_hash"`},
		{"wrong type", replace(`"items": 10`, `"items": "ten"`), "cannot unmarshal string"},
		{"no items", replace(`"items": 10`, `"items": 0`), "items: 0: want at least 1"},
		{"stranger", replace(`"against": "teacher"`, `"against": "nobody"`), `compared with "nobody", which is no model`},
		{"role", replace(`"role": "base"`, `"role": "king"`), `unknown role "king"`},
		{"metric", replace(`"name": "accuracy"`, `"name": "luck"`), `unknown metric "luck"`},
		{"probability", replace(`"p_holm": `, `"p_holm": 17`), "want p and p_holm from 0 to 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, eval.ReportFile)
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := eval.ReadReport(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want it to name %s and contain %q", err, path, c.want)
			}
		})
	}
	if _, err := eval.ReadReport(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzReadReport(f *testing.F) {
	f.Add([]byte(`{"schema":1,"benchmark":"b","items":1,"items_sha256":"","options":{"metrics":["accuracy"],"confidence":0.95},"tests":0,` +
		`"models":[{"name":"m","role":"teacher","metrics":[{"name":"accuracy","value":1,"interval":null,"retention":{"value":null,"interval":null}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, eval.ReportFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := eval.ReadReport(dir)
		if err != nil {
			return
		}
		for _, format := range []eval.Format{eval.FormatText, eval.FormatMarkdown} {
			if err := r.Table(new(bytes.Buffer), format); err != nil {
				t.Errorf("a report that was read does not render: %v", err)
			}
		}
		r.Findings()
	})
}

func TestReportsSayWhatBecameOfRowsAndMoney(t *testing.T) {
	_, dir := writeWorked(t)
	text, err := os.ReadFile(filepath.Join(dir, eval.MarkdownFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`| data&#124;x | near duplicates | 123 |`, "| answers | gpt | 9 | 4 | 5 | 0 | 0 | $0.0000 | $0.1235 |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
