package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/spelling"
)

// sampleTime is how long a product is repeated for one sample at least.
const sampleTime = 5 * time.Millisecond

// GEMMOptions say what GEMM measures. There are no defaults but those of the
// command line.
type GEMMOptions struct {
	Shape   string
	M       int      // rows of the activations
	Weights []string // formats, or all; f32 is always measured, as the others are compared with it
	Threads int      // 0 means as many as Go may use
	Runs    int
}

// GEMMFigures is what GEMM measured.
type GEMMFigures struct {
	Bench    string    `json:"bench"` // gemm
	Shape    string    `json:"shape"`
	M        int       `json:"m"`
	Runs     int       `json:"runs"`
	Products []Product `json:"products"`
	Skipped  []string  `json:"skipped"` // what was asked for and cannot be, and why
	Memory
	Machine Machine `json:"machine"`
}

// Product is one product with a matrix (N,K): of activations (M,K) with it
// transposed (MatMul), or of their gradient (M,N) with it (MatMulGrad).
type Product struct {
	Operation string  `json:"operation"`
	M         int     `json:"m"`
	K         int     `json:"k"`
	N         int     `json:"n"`
	Weights   string  `json:"weights"`
	GFLOPS    Spread  `json:"gflop_per_second"`
	OfPeak    float64 `json:"fraction_of_peak"` // median of samples beside the peak measured with each
	OfF32     float64 `json:"relative_to_f32"`  // median of samples beside f32's of the same round
}

// Validate reports every field that is out of range.
func (o GEMMOptions) Validate() error {
	_, err := o.formats()
	return err
}

// formats are those to measure: f32 first, each once.
func (o GEMMOptions) formats() ([]format, error) {
	errs := faults(number{"m", o.M, 1, 1 << 14}, number{"threads", o.Threads, 0, maxThreads}, number{"runs", o.Runs, 1, maxRuns})
	_, err := Shape(o.Shape)
	errs = append(errs, err)
	names := append([]string{"f32"}, o.Weights...)
	if len(o.Weights) == 0 {
		errs = append(errs, errors.New("weights: none given"))
	}
	if slices.Contains(o.Weights, "all") {
		names = Formats()
	}
	var list []format
	for _, name := range names {
		f, known := formatOf(name)
		switch {
		case !known:
			errs = append(errs, errors.New(spelling.Unknown("weights", name, append(Formats(), "all"))))
		case !slices.ContainsFunc(list, func(g format) bool { return g.name == f.name }):
			list = append(list, f)
		}
	}
	return list, errors.Join(errs...)
}

// sizes are the different (K,N) of a model's matrices, smallest first.
func sizes(c *model.Config) [][2]int {
	var list [][2]int
	for _, m := range append(linears(c, 0), matrix{out: c.VocabSize, in: c.HiddenSize}) {
		if size := [2]int{m.in, m.out}; !slices.Contains(list, size) {
			list = append(list, size)
		}
	}
	slices.SortFunc(list, func(a, b [2]int) int { return a[0]*a[1] - b[0]*b[1] })
	return list
}

// GEMM measures the products of a shape's matrices, sample by sample in turns,
// so that a machine that gets slower meanwhile does so for all formats.
func GEMM(ctx context.Context, o GEMMOptions) (*GEMMFigures, error) {
	formats, err := o.formats()
	if err != nil {
		return nil, err
	}
	c, err := Shape(o.Shape)
	if err != nil {
		return nil, err
	}
	dev := cpu.New(o.Threads)
	f := &GEMMFigures{Bench: "gemm", Shape: o.Shape, M: o.M, Runs: o.Runs, Skipped: []string{}, Machine: machine(dev)}
	var peaks []float64
	for _, size := range sizes(&c) {
		b := &bout{dev: dev, m: o.M, k: size[0], n: size[1]}
		skipped, err := b.enter(formats)
		if err != nil {
			return nil, err
		}
		if len(skipped) > 0 {
			f.Skipped = append(f.Skipped, fmt.Sprintf("K %d, N %d: %s: rows are no whole blocks", b.k, b.n, strings.Join(skipped, ", ")))
		}
		for _, op := range []string{"MatMul", "MatMulGrad"} {
			if err := b.rounds(ctx, op, o.Runs); err != nil {
				return nil, err
			}
			peaks = append(peaks, b.peaks...)
			f.Products = append(f.Products, b.products(op)...)
		}
	}
	f.Machine.PeakGFLOPS = spread(peaks).Median
	f.Memory = measureMemory(0)
	return f, nil
}

// bout is formats in turns at products of one size.
type bout struct {
	dev     *cpu.Device
	m, k, n int
	x, y    compute.Mat // (M,K), (M,N)
	weights []*compute.Weight
	rates   [][]float64 // GFLOP/s, by format and round
	peaks   []float64   // GFLOP/s of the registers, by round
}

// enter makes the matrices, and names the formats that do not fit.
func (b *bout) enter(formats []format) (skipped []string, err error) {
	rng := random.Stream(seed, "bench activations")
	activations := func(cols int) compute.Mat {
		a := compute.Of(b.dev.New(b.m, compute.Stride(cols))) // as models have them
		values := b.dev.Host(a)
		for i := range values {
			values[i] = rng.Float32() - 0.5
		}
		return a.ColRange(0, cols)
	}
	b.x, b.y = activations(b.k), activations(b.n)
	for _, f := range formats {
		if b.k%f.block != 0 {
			skipped = append(skipped, f.name)
			continue
		}
		w, err := f.weight(b.n, b.k, random.Stream(seed, "bench "+f.name))
		if err != nil {
			return nil, err
		}
		b.weights = append(b.weights, w)
	}
	return skipped, nil
}

// rounds samples every format once a round, beginning with another each time.
func (b *bout) rounds(ctx context.Context, op string, runs int) error {
	b.rates, b.peaks = make([][]float64, len(b.weights)), nil
	for round := -1; round < runs; round++ { // the first is a warm-up
		peak := peakGFLOPS(b.dev, sampleTime)
		rates := make([]float64, len(b.weights))
		for i := range b.weights {
			if err := ctx.Err(); err != nil {
				return err
			}
			at := (i + round + 1) % len(b.weights)
			rates[at] = b.sample(op, b.weights[at])
		}
		if round < 0 {
			continue
		}
		b.peaks = append(b.peaks, peak)
		for i, r := range rates {
			b.rates[i] = append(b.rates[i], r)
		}
	}
	return nil
}

// sample is the rate of a product, repeated for a while, in GFLOP/s.
func (b *bout) sample(op string, w *compute.Weight) float64 {
	done := 0
	start := time.Now()
	for done == 0 || time.Since(start) < sampleTime {
		if op == "MatMul" {
			b.dev.MatMul(b.y, b.x, w, 1, false)
		} else {
			b.dev.MatMulGrad(b.x, b.y, w, 1, false)
		}
		done++
	}
	return float64(done) * gemmFLOPs(b.m, b.n, b.k) / 1e9 / time.Since(start).Seconds()
}

// products are the figures of the rounds, f32's first.
func (b *bout) products(op string) []Product {
	list := make([]Product, len(b.weights))
	for i, w := range b.weights {
		ofPeak, ofF32 := make([]float64, len(b.peaks)), make([]float64, len(b.peaks))
		for round, rate := range b.rates[i] {
			ofPeak[round], ofF32[round] = rate/b.peaks[round], rate/b.rates[0][round]
		}
		list[i] = Product{Operation: op, M: b.m, K: b.k, N: b.n, Weights: strings.ToLower(w.Format.String()),
			GFLOPS: spread(b.rates[i]), OfPeak: spread(ofPeak).Median, OfF32: spread(ofF32).Median}
	}
	return list
}
