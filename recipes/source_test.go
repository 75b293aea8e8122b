package recipes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hubCommit = "0123456789abcdef0123456789abcdef01234567"

// hubRecipe is a recipe whose student is what the lines say.
func hubRecipe(source string) []byte {
	return []byte("version: 1\nname: n\nmodels:\n  student: " + source + "\nstages:\n  q8: {kind: quantize, model: student}\n")
}

// A recipe finds a model in the cache, and never downloads one.
func TestModelsOfAHub(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	repository := filepath.Join(home, "hub", "models--org--tiny")
	snapshot := filepath.Join(repository, "snapshots", hubCommit)
	if err := os.CopyFS(snapshot, os.DirFS(goldenModel(t, 300))); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(repository, "refs"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repository, "refs", "main"), []byte(hubCommit), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"{hub: org/tiny}", "{hub: org/tiny, revision: main}", "{hub: org/tiny, revision: " + hubCommit + "}"} {
		r, err := Parse("r.yaml", hubRecipe(source))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.modelRef("student").files; len(got) != 1 || got[0] != snapshot {
			t.Errorf("%s: the stage reads %v, want %s", source, got, snapshot)
		}
	}
	for source, want := range map[string]string{
		"{hub: org/tiny, revision: v2}": "r.yaml:4: models.student.hub: org/tiny@v2: not in the cache",
		"{hub: org/other}":              "retort model pull org/other@main downloads it",
		"{hub: ../other}":               `"../other" is no model of a hub`,
		"{hub: org/tiny, path: x}":      "models.student.hub: the model has a path already",
		"{path: x, revision: main}":     "models.student.revision: it is of a model of a hub",
		"{}":                            "models.student.path: want a Hugging Face directory",
	} {
		if _, err := Parse("r.yaml", hubRecipe(source)); !IsFault(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a fault with %q", source, err, want)
		}
	}
}
