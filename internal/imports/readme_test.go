package imports

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The README's tree lists every folder that the import test lists, but for
// folders of tests and generators, and no other.
func TestReadmeShowsTheTree(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tree, ok := strings.Cut(string(text), "## The tree\n")
	if !ok {
		t.Fatal("README.md has no section The tree")
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z/0-9]+)/ +\S`).FindAllStringSubmatch(tree, -1) {
		listed[m[1]] = true
	}
	for name := range allowed {
		if name == "distill/teachertest" || name == "recipes/helpdesk/gen" {
			continue
		}
		if !listed[name] {
			t.Errorf("%s is not in the README's tree", name)
		}
		delete(listed, name)
	}
	if len(listed) > 0 {
		t.Errorf("the README's tree has %v, which are no packages", slices.Sorted(maps.Keys(listed)))
	}
}

// The top level is what the project promised, and nothing else.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"LICENSE", "README.md", "cmd", "datasets", "distill", "eval", "go.mod", "go.sum", "internal", "pipeline", "quantize", "recipes", "train"}
	var have []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			have = append(have, e.Name())
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("the top level has %v, want %v", have, want)
	}
}

// No file of the repository is larger than 10 MB.
func TestNoLargeFiles(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") && e.Name() != ".." && e.Name() != ".ci" {
			return filepath.SkipDir
		}
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && info.Size() > 10_000_000 {
			t.Errorf("%s has %d bytes", path, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
