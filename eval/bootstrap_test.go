package eval

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPercentilesInterpolateLikeNumPy(t *testing.T) {
	// numpy.percentile([1, 2, 4, 8], [10, 90]) = [1.3, 6.8]
	iv, ok := percentiles([]float64{8, 1, 4, 2}, 0.8)
	if !ok {
		t.Fatal("no interval")
	}
	near(t, "low", iv.Low, 1.3, 1e-12)
	near(t, "high", iv.High, 6.8, 1e-12)
	for _, bad := range [][]float64{nil, {1, math.NaN()}, {1, math.Inf(1)}} {
		if _, ok := percentiles(bad, 0.95); ok {
			t.Errorf("percentiles(%v) gave an interval", bad)
		}
	}
}

func TestBootstrapP(t *testing.T) {
	positive := slices.Repeat([]float64{0.5}, 99)
	for _, c := range []struct {
		name        string
		differences []float64
		want        float64
	}{
		{"no difference", make([]float64, 99), 1},
		{"all above: the smallest possible", positive, 2.0 / 100},
		{"nine of 99 below", append(slices.Repeat([]float64{-1}, 9), positive[:90]...), 2.0 * 10 / 100},
		{"half and half", []float64{-1, 1}, 1},
	} {
		near(t, c.name, bootstrapP(c.differences), c.want, 1e-12)
	}
}

func TestBootstrapIsPairedAndRepeatable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := make([]float64, 50), make([]float64, 50)
	for i := range a {
		a[i] = rng.NormFloat64()
		b[i] = a[i] + 0.25
	}
	statA := func(w []int32) float64 { return meanOf(a, w) }
	statB := func(w []int32) float64 { return meanOf(b, w) }
	both, err := bootstrap(t.Context(), 50, 300, 7, []statistic{statA, statB})
	if err != nil {
		t.Fatal(err)
	}
	for r := range both[0] {
		near(t, "paired difference", both[1][r]-both[0][r], 0.25, 1e-12)
	}
	alone, err := bootstrap(t.Context(), 50, 300, 7, []statistic{statB})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(alone[0], both[1]) {
		t.Error("a statistic's values depend on which others are asked for")
	}
	other, err := bootstrap(t.Context(), 50, 300, 8, []statistic{statB})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(alone[0], other[0]) {
		t.Error("another seed drew the same resamples")
	}
}

func TestBootstrapAgreesWithTheStandardError(t *testing.T) {
	values := make([]float64, 400)
	for i := range values {
		values[i] = indicator(i%4 == 0)
	}
	replicates, err := bootstrap(t.Context(), len(values), 2000, 1,
		[]statistic{func(w []int32) float64 { return meanOf(values, w) }})
	if err != nil {
		t.Fatal(err)
	}
	iv, _ := percentiles(replicates[0], 0.95)
	half := 1.96 * math.Sqrt(0.25*0.75/400)
	near(t, "low", iv.Low, 0.25-half, 0.01)
	near(t, "high", iv.High, 0.25+half, 0.01)
}

func TestBootstrapStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := bootstrap(ctx, 10, 10, 0, []statistic{func([]int32) float64 { return 0 }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
