package distill_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"
)

// The reference values are trl.GKDTrainer.generalized_jsd_loss's, of whole
// distributions: K is V.
func TestGoldenGeneralizedJSD(t *testing.T) {
	testGoldenJSD(t, filepath.Join("testdata", "trl_generalized_jsd.safetensors"))
}

func TestSharedGoldenGeneralizedJSD(t *testing.T) {
	path := filepath.Join("..", "..", "shared", "golden", "kd", "trl_generalized_jsd.safetensors")
	if !exists(path) {
		t.Skipf("%s is not there", path)
	}
	testGoldenJSD(t, path)
}

func testGoldenJSD(t *testing.T, path string) {
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	floats := func(name string) []float32 {
		data, err := f.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		w, err := compute.NewWeight(compute.F32, 1, len(data)/4, data)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(w.Floats())
	}
	student, teacher, labels := floats("student_logits"), floats("teacher_logits"), floats("labels")
	const v = 97
	a := distill.Answer{Text: "x", Finish: distill.FinishStop}
	var learned []int
	var logits []float32
	for i, label := range labels {
		if id := int32(math.Float32bits(label)); id >= 0 { // the same four bytes
			learned = append(learned, i)
			a.Tokens, a.Top = append(a.Tokens, id), append(a.Top, topOf(teacher[i*v:(i+1)*v], v))
			logits = append(logits, student[i*v:(i+1)*v]...)
		}
	}
	inMemory := distill.NewTopTable(v)
	if err := inMemory.Append(a.Top); err != nil {
		t.Fatal(err)
	}
	fromFile := openTable(t, distill.Info{TopK: v, Vocabulary: v}, distill.NewRow("x", "me", distill.Request{}, a))
	n := float64(len(learned))
	for _, beta := range []float64{0, 0.1, 0.5, 0.9, 1} {
		for _, temperature := range []float64{1, 2} {
			name := fmt.Sprintf("jsd_b%.1f_t%.1f", beta, temperature)
			value, whole := float64(floats(name)[0]), floats(name+".grad")
			var want []float64
			for _, i := range learned {
				for _, g := range whole[i*v : (i+1)*v] {
					want = append(want, float64(g))
				}
			}
			o := distill.Options{Divergence: distill.JSD, Beta: &beta, Temperature: temperature}
			sum, grad := lossOf(t, o, inMemory, a.Tokens, logits)
			if !(math.Abs(sum/n-value) <= 1e-5*value) {
				t.Errorf("%s: %v, want %v", name, sum/n, value)
			}
			for j, w := range want {
				if g := float64(grad[j]) / n; !(math.Abs(g-w) <= 1e-7+1e-4*math.Abs(w)) {
					t.Fatalf("%s: gradient (%d, %d) is %v, want %v", name, learned[j/v], j%v, g, w)
				}
			}
			sum, grad = lossOf(t, o, fromFile, a.Tokens, logits)
			wrong, size := 0.0, 0.0
			for j, w := range want {
				wrong, size = wrong+math.Pow(float64(grad[j])/n-w, 2), size+w*w
			}
			if wrong = math.Sqrt(wrong / size); !(math.Abs(sum/n-value) <= 1e-4*value && wrong <= 1e-3) {
				t.Errorf("%s from the file: %v, want %v; gradient wrong by %v", name, sum/n, value, wrong)
			}
		}
	}
}
