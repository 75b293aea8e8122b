package checkpoint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/checkpoint"
)

func TestDescribeClassifiers(t *testing.T) {
	for name, targets := range map[string][]string{
		"albert-cls":     {"query", "ffn", "classifier"},
		"distilbert-cls": {"q_lin", "lin1", "pre_classifier"},
		"electra-cls":    {"query", "dense", "out_proj"},
	} {
		dir := "../../../shared/golden/hf/" + name
		if _, err := os.Stat(dir); err != nil {
			t.Skip(err)
		}
		d, err := checkpoint.Describe(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Classes) != 5 || d.Parameters != d.Stored[0].Values || d.Memory[0].Bytes != 4*d.Parameters {
			t.Errorf("%s: %+v", name, d)
		}
		for _, target := range targets {
			if !slices.Contains(d.Tuning.LoRATargets, target) {
				t.Errorf("%s: targets %v lack %s", name, d.Tuning.LoRATargets, target)
			}
		}
		_, err = checkpoint.Convert(t.Context(), checkpoint.ConvertOptions{From: dir, To: "hf", Out: filepath.Join(t.TempDir(), "x")})
		if err == nil || !strings.Contains(err.Error(), "is a classifier") {
			t.Errorf("%s converted: %v", name, err)
		}
	}
}
