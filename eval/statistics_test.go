package eval

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"testing"
)

// golden is testdata/metrics.json: values of scikit-learn, SciPy and statsmodels on
// made-up inputs.
type golden struct {
	Classification []struct {
		Classes          int
		Truth, Predicted []int
		Accuracy         float64
		F1Macro          float64 `json:"f1_macro"`
	}
	Intervals []struct {
		Successes, N int
		Wilson       [2]float64
	} `json:"proportion_intervals_95"`
	McNemar []struct {
		A int     `json:"only_a_right"`
		B int     `json:"only_b_right"`
		P float64 `json:"exact_two_sided_p"`
	} `json:"mcnemar_exact"`
	Holm        []struct{ P, Adjusted []float64 }
	Calibration struct {
		Confidence []float64
		Correct    []int
		ECE        float64 `json:"ece_10_equal_width"`
		Brier      float64
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Classification) == 0 || len(g.Intervals) == 0 || len(g.McNemar) == 0 || len(g.Holm) == 0 || len(g.Calibration.Correct) == 0 {
		t.Fatal("testdata/metrics.json lacks a part")
	}
	return g
}

// near fails for NaN too.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*(1+math.Abs(want))) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func ones(n int) []int32 {
	w := make([]int32, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func TestGoldenStatistics(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Intervals {
		iv := Wilson(c.Successes, c.N, 0.95)
		near(t, "wilson low", iv.Low, c.Wilson[0], 1e-9)
		near(t, "wilson high", iv.High, c.Wilson[1], 1e-9)
	}
	for _, c := range g.McNemar {
		near(t, "mcnemar", McNemar(c.A, c.B), c.P, 1e-10)
		near(t, "mcnemar, sides exchanged", McNemar(c.B, c.A), c.P, 1e-10)
	}
	for _, c := range g.Holm {
		for i, p := range Holm(c.P) {
			near(t, "holm", p, c.Adjusted[i], 1e-12)
		}
	}
}

func TestGoldenClassification(t *testing.T) {
	for _, c := range readGolden(t).Classification {
		near(t, "macro F1", macroF1(c.Truth, c.Predicted, c.Classes, ones(len(c.Truth))), c.F1Macro, 1e-12)
		right := make([]bool, len(c.Truth))
		for i := range right {
			right[i] = c.Truth[i] == c.Predicted[i]
		}
		near(t, "accuracy", shareRight(right, nil).value(ones(len(right))), c.Accuracy, 1e-12)
	}
}

func TestGoldenCalibration(t *testing.T) {
	c := readGolden(t).Calibration
	right, squares := make([]bool, len(c.Correct)), make([]float64, len(c.Correct))
	for i, one := range c.Correct {
		right[i] = one == 1
		squares[i] = math.Pow(c.Confidence[i]-float64(one), 2)
	}
	near(t, "ece", calibrationError(c.Confidence, right, ones(len(right))), c.ECE, 1e-12)
	near(t, "brier", meanOf(squares, ones(len(right))), c.Brier, 1e-12)
}

func TestCalibrationBinsAreOpenBelowAndClosedAbove(t *testing.T) {
	// 0.2 belongs to (0.1, 0.2] with 0.15, where right and wrong cancel to |1 − 0.35| = 0.65
	// of two items; in a bin of its own each gap would count: 0.8 and 0.15.
	got := calibrationError([]float64{0.15, 0.2}, []bool{false, true}, ones(2))
	near(t, "ece", got, 0.65/2, 1e-12)
	near(t, "confidence 0 and 1", calibrationError([]float64{0, 1}, []bool{false, true}, ones(2)), 0, 0)
}

func TestMacroF1LeavesOutClassesThatDoNotOccur(t *testing.T) {
	// Class 0: 1 right of 2+1 → 2/3; class 1: predicted once, never true → 0; class 2 absent.
	near(t, "macro F1", macroF1([]int{0, 0}, []int{0, 1}, 3, ones(2)), (2.0/3+0)/2, 1e-12)
	near(t, "counted twice", macroF1([]int{0, 0}, []int{0, 1}, 3, []int32{2, 0}), 1, 0)
}

func TestMcNemarAgainstExactBinomialSums(t *testing.T) {
	exact := func(a, b int) float64 {
		n, k := int64(a+b), int64(min(a, b))
		sum := new(big.Int)
		for i := int64(0); i <= k; i++ {
			sum.Add(sum, new(big.Int).Binomial(n, i))
		}
		ratio, _ := new(big.Rat).SetFrac(sum, new(big.Int).Lsh(big.NewInt(1), uint(n))).Float64()
		return math.Min(1, 2*ratio)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a, b := rng.IntN(120), rng.IntN(120)
		if got, want := McNemar(a, b), exact(a, b); !(math.Abs(got-want) <= 1e-11*want+1e-300) {
			t.Errorf("McNemar(%d, %d) = %v, want %v", a, b, got, want)
		}
	}
	for _, n := range []int{10_000, 1_000_000, 100_000_000} {
		// The normal approximation with continuity correction at two deviations.
		far := int(math.Sqrt(float64(n)))
		p := McNemar(n/2-far, n/2+far)
		if !(p > 0.035 && p < 0.055) {
			t.Errorf("McNemar at two deviations of %d = %v, want about 0.0455", n, p)
		}
	}
}

func TestDegenerateStatistics(t *testing.T) {
	if iv := Wilson(0, 0, 0.95); iv.Low != 0 || iv.High != 1 {
		t.Errorf("Wilson without trials: %+v, want 0 to 1", iv)
	}
	if iv := Newcombe(Pairs{}, 0.95); iv.Low != -1 || iv.High != 1 {
		t.Errorf("Newcombe without items: %+v, want -1 to 1", iv)
	}
	if p := McNemar(0, 0); p != 1 {
		t.Errorf("McNemar without discordant items: %v, want 1", p)
	}
	if p := Holm(nil); len(p) != 0 {
		t.Errorf("Holm of nothing: %v", p)
	}
	for name, call := range map[string]func(){
		"Wilson":  func() { Wilson(3, 2, 0.95) },
		"McNemar": func() { McNemar(-1, 2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s accepted impossible counts", name)
				}
			}()
			call()
		}()
	}
}

func TestNewcombe(t *testing.T) {
	// Newcombe 1998, table II, second contrast: 36, 12, 2, 0 by method 10.
	iv := Newcombe(Pairs{BothRight: 36, OnlyModel: 12, OnlyOther: 2}, 0.95)
	near(t, "low", iv.Low, 0.0569, 1e-4)
	near(t, "high", iv.High, 0.3404, 1e-4)

	// The paper's formulas evaluated apart, where the correction for continuity shrinks
	// the correlation and where it takes it away.
	for _, c := range []struct {
		p         Pairs
		low, high float64
	}{
		{Pairs{BothRight: 10, OnlyModel: 3, OnlyOther: 1, NoneRight: 6}, -0.10662319277395335, 0.2922644932645151},
		{Pairs{BothRight: 5, OnlyModel: 3, OnlyOther: 2, NoneRight: 2}, -0.2717877833208151, 0.41152575950602827},
	} {
		got := Newcombe(c.p, 0.95)
		near(t, "corrected low", got.Low, c.low, 1e-9)
		near(t, "corrected high", got.High, c.high, 1e-9)
	}

	swapped := Newcombe(Pairs{BothRight: 36, OnlyModel: 2, OnlyOther: 12}, 0.95)
	near(t, "swapped low", swapped.Low, -iv.High, 1e-12)
	near(t, "swapped high", swapped.High, -iv.Low, 1e-12)

	same := Newcombe(Pairs{BothRight: 18, NoneRight: 2}, 0.95)
	if !(same.Low < -0.01 && same.High > 0.01) {
		t.Errorf("20 items without a discordant one: %+v, want an interval with a width", same)
	}
}

func TestNewcombeCoversTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const trials, n = 2000, 60
	truth := 0.10 - 0.04 // P(only model) − P(only other)
	covered := 0
	for range trials {
		var p Pairs
		for range n {
			switch u := rng.Float64(); {
			case u < 0.7:
				p.BothRight++
			case u < 0.8:
				p.OnlyModel++
			case u < 0.84:
				p.OnlyOther++
			default:
				p.NoneRight++
			}
		}
		if iv := Newcombe(p, 0.95); iv.Low <= truth && truth <= iv.High {
			covered++
		}
	}
	if share := float64(covered) / trials; !(share > 0.93 && share < 0.985) {
		t.Errorf("95 %% intervals cover the truth in %.3f of %d trials", share, trials)
	}
}
