package bench

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/memory"
)

// Spread is what some runs came to.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spread of at least one value; the median of an even number is the mean of
// the middle two.
func spread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// each is a spread of what of gives for every value.
func each(values []float64, of func(x float64) float64) Spread {
	out := make([]float64, len(values))
	for i, x := range values {
		out[i] = of(x)
	}
	return spread(out)
}

// Machine is what the figures were measured on.
type Machine struct {
	Threads int    `json:"threads"` // of the device
	CPUs    int    `json:"cpus"`    // that the process may use
	Kernels string `json:"kernels"` // the instruction set in use: avx512, avx2 or go
	Go      string `json:"go_version"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	// PeakGFLOPS is what the device's threads do with registers alone, in 1e9
	// float32 operations a second.
	PeakGFLOPS float64 `json:"peak_gflop_per_second"`
}

func machine(d *cpu.Device) Machine {
	return Machine{Threads: d.Threads(), CPUs: runtime.NumCPU(), Kernels: d.Kernels(),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
}

// Work is how fast one kind of work went.
type Work struct {
	Runs            int     `json:"runs"`
	TokensPerRun    int     `json:"tokens_per_run"`
	GFLOPPerRun     float64 `json:"gflop_per_run"` // of matrix products
	Seconds         Spread  `json:"seconds_per_run"`
	TokensPerSecond Spread  `json:"tokens_per_second"`
	GFLOPS          Spread  `json:"gflop_per_second"`
	OfPeak          float64 `json:"fraction_of_peak"` // the median; 0 until measured
}

// newWork is of runs that took so many seconds each, with the tokens and the
// operations of one of them.
func newWork(seconds []float64, tokens int, flops float64) Work {
	return Work{
		Runs: len(seconds), TokensPerRun: tokens, GFLOPPerRun: flops / 1e9, Seconds: spread(seconds),
		TokensPerSecond: each(seconds, func(s float64) float64 { return float64(tokens) / s }),
		GFLOPS:          each(seconds, func(s float64) float64 { return flops / 1e9 / s }),
	}
}

func (w *Work) compare(m Machine) {
	if w != nil {
		w.OfPeak = w.GFLOPS.Median / m.PeakGFLOPS
	}
}

// peakTime is how long registers are measured, before the work and after it.
const peakTime = 100 * time.Millisecond

// peakGFLOPS is what the registers of all threads do.
func peakGFLOPS(d *cpu.Device, during time.Duration) float64 { return d.PeakFLOPS(during) / 1e9 }

// Memory is what the whole process has held at most.
type Memory struct {
	PeakBytes   *int64 `json:"peak_memory_bytes"`             // resident; null: unknown on this system
	BudgetBytes int64  `json:"memory_budget_bytes,omitempty"` // 0: none was set
	Within      *bool  `json:"within_budget,omitempty"`
}

// measureMemory reads the peak so far, against a budget if one is given.
func measureMemory(budget int64) Memory {
	m := Memory{BudgetBytes: budget}
	peak := memory.Peak()
	if peak == 0 {
		return m
	}
	m.PeakBytes = &peak
	if budget > 0 {
		within := peak <= budget
		m.Within = &within
	}
	return m
}

// number is a numeric option with the least and the most that it may be.
type number struct {
	name               string
	value, least, most int
}

// faults are the numbers that are out of range.
func faults(numbers ...number) []error {
	var errs []error
	for _, n := range numbers {
		if n.value < n.least || n.value > n.most {
			errs = append(errs, fmt.Errorf("%s: %d: want %d to %d", n.name, n.value, n.least, n.most))
		}
	}
	return errs
}

// maxThreads and maxRuns bound what can only be a mistake.
const (
	maxThreads = 1024
	maxRuns    = 1000
)
