package recipes

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// hubDataset puts files of org/rows into a cache of its own.
func hubDataset(t *testing.T, files map[string]string) (snapshot string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	repository := filepath.Join(home, "hub", "datasets--org--rows")
	snapshot = filepath.Join(repository, "snapshots", hubCommit)
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		write(filepath.Join(snapshot, filepath.FromSlash(name)), text)
	}
	write(filepath.Join(repository, "refs", "main"), hubCommit)
	return snapshot
}

// dataRecipe is a recipe with one dataset of these keys.
func dataRecipe(keys string) []byte {
	return []byte("version: 1\nname: n\nstages:\n  data: {kind: dataset, columns: {prompt: p, response: r}, " + keys + "}\n")
}

// filesOf are the files that the dataset stage of a recipe reads, below dir.
func filesOf(t *testing.T, recipe []byte, dir string) (map[string][]string, error) {
	t.Helper()
	r, err := Parse("r.yaml", recipe)
	if err != nil {
		return nil, err
	}
	o, err := r.find("data").(*datasetStage).located(r, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if o.Hub != "" {
		t.Error("the hub's name is still there")
	}
	for _, list := range o.Files {
		for i, path := range list {
			if list[i], err = filepath.Rel(dir, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return o.Files, nil
}

func TestDatasetsOfAHub(t *testing.T) {
	const card = "---\nlicense: mit\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n  - split: test\n    path: [main/test-*]\n- config_name: socratic\n  default: true\n  data_dir: socratic\n  data_files: \"*.jsonl\"\n---\n# Rows\n"
	names := []string{"main/train-1.parquet", "main/train-2.parquet", "main/test-1.parquet", "socratic/a.jsonl"}
	files := map[string]string{"README.md": card}
	for _, name := range names {
		files[name] = "x"
	}
	dir := hubDataset(t, files)
	for keys, want := range map[string]map[string][]string{
		"hub: org/rows, config: main": {"train": {names[0], names[1]}, "test": {names[2]}},
		"hub: org/rows":               {"train": {names[3]}},
		"hub: org/rows, revision: " + hubCommit + ", files: {x: \"*-1.parquet\"}": {"x": {names[2], names[0]}},
	} {
		if got, err := filesOf(t, dataRecipe(keys), dir); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %v, want %v", keys, got, err, want)
		}
	}
	// A stage that comes before the dataset may use its splits.
	early := strings.Replace(string(dataRecipe("hub: org/rows, config: main")), "stages:\n", "stages:\n  tok: {kind: tokenizer, on: data.train, vocab_size: 300}\n", 1)
	if _, err := Parse("r.yaml", []byte(early)); err != nil {
		t.Error(err)
	}
	for keys, want := range map[string]string{
		"hub: org/rows, config: x":                        `stages.data.hub: org/rows@main: config: "x": want one of main, socratic`,
		"hub: org/none":                                   "retort data pull org/none@main downloads it",
		"hub: org/rows, revision: v2":                     "not in the cache",
		"hub: org/rows, files: data/*.csv":                "the cache has no such file of it; it has main/test-1.parquet",
		"hub: ../rows":                                    `"../rows" is no dataset of a hub`,
		"files: a.jsonl, revision: v2":                    "stages.data.revision: it is of a dataset of a hub",
		"hub: org/rows, config: main, files: \"*.jsonl\"": "files say which files",
	} {
		if _, err := Parse("r.yaml", dataRecipe(keys)); !IsFault(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
}

// Without a card the names of files and folders tell.
func TestDatasetsWithoutCard(t *testing.T) {
	dir := hubDataset(t, map[string]string{"en/train.csv": "x", "en/dev.csv": "x", "fr/train.csv": "x", "contest.csv": "x", "data_infos.txt": "x"})
	got, err := filesOf(t, dataRecipe("hub: org/rows, config: en"), dir)
	if want := map[string][]string{"train": {"en/train.csv"}, "validation": {"en/dev.csv"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
	dir = hubDataset(t, map[string]string{"a.jsonl": "x", "b/c.jsonl": "x"})
	got, err = filesOf(t, dataRecipe("hub: org/rows"), dir)
	if want := map[string][]string{"train": {"a.jsonl", "b/c.jsonl"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
	dir = hubDataset(t, map[string]string{"en/a.jsonl": "x", "README.md": "---\nconfigs: 3\n---\n"})
	if _, err := filesOf(t, dataRecipe("hub: org/rows"), dir); !IsFault(err) || !strings.Contains(err.Error(), "README.md") {
		t.Errorf("a damaged card: %v", err)
	}
}

// Mixed sources, each with its own files and form, through the pipeline's stage.
func TestMixedSources(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.jsonl": `{"p":"x","r":"y"}`, "b.csv": "text,label\nq,1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	recipe := "version: 1\nname: n\nstages:\n  data:\n    kind: dataset\n    mix:\n" +
		"      one: {files: " + dir + "/a.jsonl, columns: {prompt: p, response: r}, weight: 1}\n" +
		"      two: {files: {train: [" + dir + "/*.csv]}, format: classification, labels: [no, yes], weight: 1}\n    deduplicate: {near: 0.8}\n"
	r, err := Parse("r.yaml", []byte(recipe))
	if err != nil {
		t.Fatal(err)
	}
	s := r.find("data").(*datasetStage)
	built := s.build(r)
	if len(built.Files) != 2 || filepath.Base(built.Files[1]) != "b.csv" {
		t.Errorf("the stage reads %v", built.Files)
	}
	if text := print(t, s); strings.Contains(text, dir) || !strings.Contains(text, `"b.csv"`) {
		t.Errorf("fingerprint %s", text)
	}
	if got := s.splits(); !reflect.DeepEqual(got, []string{"train"}) {
		t.Errorf("splits %v", got)
	}
	// What examples are compared with is an input, too.
	with, err := Parse("r.yaml", []byte(recipe+"    decontaminate: {against: ["+dir+"/*.csv], columns: [text]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if built := with.find("data").build(with); len(built.Files) != 3 || strings.Contains(print(t, with.find("data")), dir) {
		t.Errorf("the stage reads %v", built.Files)
	}
	_, err = Parse("r.yaml", []byte(strings.Replace(recipe, "weight: 1}\n", "weight: -1}\n", 1)))
	if !IsFault(err) || !strings.Contains(err.Error(), "r.yaml:7: stages.data.mix.one.weight: -1: want more than 0") {
		t.Errorf("got %v", err)
	}
}
