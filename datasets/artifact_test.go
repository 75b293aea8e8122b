package datasets_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

func smallOptions(t *testing.T) datasets.Options {
	o := options(numbered(t, "rows.jsonl", 200), writeFile(t, "more.jsonl", `{"text": null, "label": "x"}`+"\n"+`{"text": "last", "label": "x"}`))
	o.Split = map[string]float64{"valid": 0.2}
	o.Template, o.Lowercase = "Query: {text}", true
	return o
}

// smallDataset makes a dataset in dir.
func smallDataset(t *testing.T, dir string) *datasets.Dataset {
	t.Helper()
	d, err := datasets.Make(t.Context(), dir, smallOptions(t), datasets.Hooks{Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDatasetRoundTrip(t *testing.T) {
	dir := t.TempDir()
	d := smallDataset(t, dir)
	got, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, d) {
		t.Errorf("got %+v\nwant %+v", got, d)
	}
	if want := []string{"l0", "l1", "l2", "l3", "x"}; !reflect.DeepEqual(got.Labels(), want) {
		t.Errorf("labels %q, want %q", got.Labels(), want)
	}
	if got.Rule().Template != "Query: {text}" || !got.Rule().Trim || got.Rule().Split["valid"] != 0.2 {
		t.Errorf("rule %+v", got.Rule())
	}
}

// The bytes depend on the rows, not on when and where they lay.
func TestDatasetBytesAreDeterministic(t *testing.T) {
	var files [2]map[string][]byte
	for i := range files {
		dir := t.TempDir()
		smallDataset(t, dir)
		files[i] = map[string][]byte{}
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			files[i][entry.Name()], _ = os.ReadFile(filepath.Join(dir, entry.Name()))
		}
	}
	if len(files[0]) != 3 || !reflect.DeepEqual(files[0], files[1]) {
		t.Error("the same rows gave other files")
	}
	if bytes.Contains(files[0]["dataset.json"], []byte(os.TempDir())) {
		t.Error("dataset.json names a folder")
	}
}

func TestOpenDamagedDatasets(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(dir string, json string) (string, bool)
		want   string
	}{
		{"no description", func(string, string) (string, bool) { return "", false }, "dataset.json: no such file"},
		{"half a description", func(_, s string) (string, bool) { return s[:len(s)/2], true }, "dataset.json: unexpected EOF"},
		{"trailing text", func(_, s string) (string, bool) { return s + "{}", true }, "something follows"},
		{"unknown key", func(_, s string) (string, bool) { return strings.Replace(s, `"trim"`, `"trimm"`, 1), true }, `unknown field "trimm"`},
		{"other format", func(_, s string) (string, bool) { return strings.Replace(s, `"format": 1`, `"format": 2`, 1), true }, "format 2, want 1"},
		{"split outside", func(_, s string) (string, bool) { return strings.ReplaceAll(s, `"valid": `, `"../valid": `), true }, "cannot name a split"},
		{"split missing", func(dir, s string) (string, bool) { return s, os.Remove(filepath.Join(dir, "valid.parquet")) == nil }, "valid.parquet: no such file"},
		{"split cut", func(dir, s string) (string, bool) {
			return s, os.Truncate(filepath.Join(dir, "valid.parquet"), 300) == nil
		}, "valid.parquet: the file is cut off"},
		{"another split", func(dir, s string) (string, bool) {
			return s, os.Rename(filepath.Join(dir, "train.parquet"), filepath.Join(dir, "valid.parquet")) == nil
		}, "train.parquet: no such file"},
		{"count", func(_, s string) (string, bool) { return strings.Replace(s, `"train": 1`, `"train": 2`, 1), true }, "dataset.json says 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			smallDataset(t, dir)
			path := filepath.Join(dir, "dataset.json")
			text, _ := os.ReadFile(path)
			changed, keep := c.damage(dir, string(text))
			if !keep {
				os.Remove(path)
			} else if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := datasets.Open(dir)
			wantError(t, c.name, err, c.want)
		})
	}
}

func TestMakeNamesWhatFailed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	_, err := datasets.Make(t.Context(), dir, smallOptions(t), datasets.Hooks{})
	wantError(t, "a missing folder", err, dir)
}
