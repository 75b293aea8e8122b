package recipes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// goldenModel copies a tiny model (vocabulary 307) and gives it a tokenizer of
// at most size tokens.
func goldenModel(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join("../internal/model/testdata/golden/llama-gqa", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Repeat("the quick brown fox jumps over the lazy dog while seven wizards mix boxing gloves with jolly vodka ", 20)
	tok, err := tokenizer.Train(slices.Values([]string{text}), tokenizer.TrainOptions{VocabSize: size})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadPathRefusesWhatDoesNotFit(t *testing.T) {
	l, err := loadPath(goldenModel(t, 300))
	if err != nil {
		t.Fatal(err)
	}
	if l.bos != 0 || !slices.Equal(l.stop, []int32{1, 2}) {
		t.Errorf("begins with %d, stops at %v; want 0, and 1 of the tokenizer before 2 of the configuration", l.bos, l.stop)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name, want string
		spoil      func(dir string) error
	}{
		{"truncated weights", "model.safetensors", func(dir string) error { return os.Truncate(filepath.Join(dir, "model.safetensors"), 100_000) }},
		{"no weights", "model.safetensors", func(dir string) error { return os.Remove(filepath.Join(dir, "model.safetensors")) }},
		{"no tokenizer", "tokenizer.json", func(dir string) error { return os.Remove(filepath.Join(dir, "tokenizer.json")) }},
		{"no configuration", "config.json", func(dir string) error { return os.Remove(filepath.Join(dir, "config.json")) }},
		{"damaged tokenizer", "tokenizer.json", func(dir string) error { return os.Truncate(filepath.Join(dir, "tokenizer.json"), 300) }},
		{"not a model", "nothing", func(dir string) error { return os.RemoveAll(dir) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := goldenModel(t, 300)
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if c.want == "nothing" {
				c.want = dir
			}
			if _, err := loadPath(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %s", err, c.want)
			}
		})
	}
	large := goldenModel(t, 320)
	if _, err := loadPath(large); err == nil || !strings.Contains(err.Error(), "token ids up to 319, the model's vocabulary ends at 306") {
		t.Errorf("a tokenizer that does not fit: %v", err)
	}
}

func TestChoicesEndOnlyWhereOneBeginsAnother(t *testing.T) {
	for _, c := range []struct {
		lists [][]int32
		want  bool
	}{
		{[][]int32{{1}, {2}, {3, 4}}, false},
		{[][]int32{{1, 2}, {3}, {1}}, true},
		{[][]int32{{1, 2}, {1, 2}}, false}, // equal choices: an end token tells nothing
		{[][]int32{{1, 2, 3}, {1, 2}, {1, 3}}, true},
		{nil, false},
	} {
		if got := anyPrefix(c.lists); got != c.want {
			t.Errorf("%v: %v, want %v", c.lists, got, c.want)
		}
	}
}
