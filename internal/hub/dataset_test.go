package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newDatasetHub serves org/tiny as a dataset.
func newDatasetHub(t *testing.T) *fakeHub {
	h := newHub(t)
	h.dataset = true
	h.files = map[string][]byte{
		"README.md": []byte("---\nconfigs: []\n---\n"), "main/train-00000-of-00001.parquet": []byte("PAR1 rows"), "main/test.jsonl.gz": []byte("rows"),
		"dataset_infos.json": []byte("{}"), "load.py": []byte("import os"), "images.pkl": []byte("pickle"), "photo.png": []byte("x"),
	}
	return h
}

func TestPullDataset(t *testing.T) {
	h := newDatasetHub(t)
	c := h.client(t)
	ref, err := ParseDatasetRef("org/tiny")
	if err != nil {
		t.Fatal(err)
	}
	s := mustPull(t, c, ref)
	h.check(t, s, "README.md", "main/test.jsonl.gz", "main/train-00000-of-00001.parquet")
	repository := filepath.Join(c.Cache, "datasets--org--tiny")
	if want := filepath.Join(repository, "snapshots", commit); s.Dir != want {
		t.Errorf("snapshot %s, want %s", s.Dir, want)
	}
	if found, err := c.Find(ref); err != nil || found.Dir != s.Dir {
		t.Errorf("found %+v, %v", found, err)
	}
	if h.count("GET /datasets/org/tiny/resolve/"+commit) == 0 || h.count("GET /api/datasets/org/tiny/revision/main") != 1 {
		t.Errorf("asked %v", h.requests)
	}
	if _, err := c.Find(tiny); err == nil {
		t.Error("the dataset is found as a model")
	}
	c.Offline = true
	h.check(t, mustPull(t, c, ref), "README.md", "main/test.jsonl.gz", "main/train-00000-of-00001.parquet")
	wantError(t, c, ref, []string{"*.csv"}, `include "*.csv": the cache has no such file`)
	os.RemoveAll(filepath.Join(s.Dir, "main"))
	if _, err := c.Find(ref); err == nil || !strings.Contains(err.Error(), "no files of rows") {
		t.Errorf("a card alone: %v", err)
	}
}

func TestPullPartOfADataset(t *testing.T) {
	h := newDatasetHub(t)
	ref := Ref{Name: "org/tiny", Revision: "main", Dataset: true}
	h.check(t, mustPull(t, h.client(t), ref, "main/train-*"), "README.md", "main/train-00000-of-00001.parquet")
	wantError(t, h.client(t), ref, []string{"*.pkl"}, "images.pkl may be a pickle")
	for name := range h.files {
		if IsData(name) {
			delete(h.files, name)
		}
	}
	wantError(t, h.client(t), ref, nil, "no Parquet, JSON, CSV or TSV files")
	if _, err := ParseDatasetRef("../up"); err == nil || !strings.Contains(err.Error(), "is no dataset of a hub") {
		t.Errorf("got %v", err)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.parquet", "a/b/c.parquet", true}, {"a/*.parquet", "a/b/c.parquet", false}, {"a/**/*.parquet", "a/b/c.parquet", true}, {"a/**/*.parquet", "a/c.parquet", true},
		{"**/c.*", "c.csv", true}, {"**/c.*", "x/y/c.csv", true}, {"a/**/c.csv", "b/c.csv", false}, {"data/train-*", "data/train-1.parquet", true},
	} {
		if Matches(c.pattern, c.name) != c.want {
			t.Errorf("%s of %s: want %v", c.pattern, c.name, c.want)
		}
	}
}
