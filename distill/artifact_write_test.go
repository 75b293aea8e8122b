package distill_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
)

// leftBehind lists what is in dir.
func leftBehind(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestArtifactThatIsGivenUp(t *testing.T) {
	dir, rows := t.TempDir(), someRows(12, 3)
	w, err := distill.CreateAnswers(dir, info(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if names := leftBehind(t, dir); names != "" {
		t.Errorf("%s is left", names)
	}
}

// A row that cannot be added ends the artifact: without it, it would be another.
func TestArtifactIsNotFinishedAfterAnError(t *testing.T) {
	dir, rows := t.TempDir(), someRows(12, 3)
	w, err := distill.CreateAnswers(dir, info(3))
	if err != nil {
		t.Fatal(err)
	}
	bad := rows[4]
	bad.Top = bad.Top[:1]
	first := w.Add(bad)
	if first == nil || w.Add(rows[3]) == nil || w.Finish() == nil {
		t.Errorf("it went on after %v", first)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if names := leftBehind(t, dir); names != "" {
		t.Errorf("%s is left", names)
	}
}

func TestFinishedArtifact(t *testing.T) {
	dir := t.TempDir()
	w, err := distill.CreateAnswers(dir, info(3))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(someRows(2, 3)[1]); err != nil {
		t.Fatal(err)
	}
	if names := leftBehind(t, dir); strings.Contains(names, "answers.") || strings.Contains(names, "topk.") {
		t.Errorf("%s before the end", names)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil { // does nothing
		t.Fatal(err)
	}
	if names := leftBehind(t, dir); names != "answers.json answers.parquet topk.arrow" {
		t.Errorf("%s at the end", names)
	}
	if w.Finish() == nil || w.Add(someRows(2, 3)[0]) == nil && w.Finish() == nil {
		t.Error("it can be finished twice")
	}
	if err := readAnswers(dir); err != nil {
		t.Error(err)
	}
}

func TestCreateAnswersRefuses(t *testing.T) {
	for want, in := range map[string]distill.Info{
		"-1 alternatives":       {TopK: -1},
		"1048577 alternatives":  {TopK: 1<<20 + 1},
		"vocabulary of 1048577": {Vocabulary: 1<<20 + 1},
		"vocabulary of -3":      {Vocabulary: -3},
	} {
		dir := t.TempDir()
		if _, err := distill.CreateAnswers(dir, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", in, err, want)
		}
		if names := leftBehind(t, dir); names != "" {
			t.Errorf("%+v: %s is left", in, names)
		}
	}
	if _, err := distill.CreateAnswers(filepath.Join(t.TempDir(), "no"), info(3)); err == nil {
		t.Error("there is no such directory: no error")
	}
	// What came before the error is taken back.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "answers.parquet"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "answers.parquet", "x"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := writeTo(dir, info(3), someRows(3, 3)); err == nil || !strings.Contains(err.Error(), "answers.parquet") {
		t.Errorf("a directory in the file's place: %v", err)
	}
	if names := leftBehind(t, dir); names != "answers.parquet" {
		t.Errorf("%s is left", names)
	}
}

// Rows that are not what answers.json says, or no rows of answers, are errors that
// name the file when they are read.
func TestRowsOfOtherSums(t *testing.T) {
	dir := writeAnswers(t, 0, someRows(12, 0))
	change(t, filepath.Join(dir, "answers.json"), func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"answer_tokens": 21`, `"answer_tokens": 22`, 1))
	})
	a, err := distill.OpenAnswers(dir)
	if err == nil {
		_, err = a.ReadRows()
	}
	if err == nil || !strings.Contains(err.Error(), "answers.parquet: 12 answers of 21 tokens, and answers.json says 12 of 22") {
		t.Errorf("error %v", err)
	}
	for range a.Rows() { // a reader may leave
		break
	}
	rows := someRows(12, 0)
	rows[7].Weight = 0
	dir = writeAnswers(t, 0, someRows(12, 0))
	if err := datasets.WriteParquet(filepath.Join(dir, "answers.parquet"), rows); err != nil {
		t.Fatal(err)
	}
	sign(t, dir)
	if a, err = distill.OpenAnswers(dir); err == nil {
		_, err = a.ReadRows()
	}
	if err == nil || !strings.Contains(err.Error(), "answers.parquet: row 7 (id7): weight 0") {
		t.Errorf("error %v", err)
	}
}
