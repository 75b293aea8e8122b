package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/verify"
)

func TestGoldenClassifiers(t *testing.T) {
	for _, name := range []string{"albert-cls", "distilbert-cls", "electra-cls"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("../../../shared/golden/hf", name)
			if _, err := os.Stat(dir); err != nil {
				t.Skip(err)
			}
			r := run(t, verify.Options{Model: dir})
			gradients := 0
			for _, c := range r.Checks {
				if strings.HasPrefix(c.Tensor, "grad.") {
					gradients++
				}
			}
			if !r.OK || gradients == 0 || len(r.Checks) != gradients+4 || len(r.NotCompared) > 0 {
				t.Errorf("beyond the tolerance: %v; %d gradients of %d checks, not compared %v", failed(r), gradients, len(r.Checks), r.NotCompared)
			}
		})
	}
}
