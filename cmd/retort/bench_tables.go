package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/bench"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"
)

func printTrain(c *cli.Context, s streams, f *bench.TrainFigures) error {
	if c.Bool("json") {
		return printJSON(s, f)
	}
	fmt.Fprintf(s.out, "train %s: %d × %d tokens a step, %d of them supervised; rank %d on all linear layers (%s of %s parameters)\n",
		f.Shape, f.Batch, f.Seq, f.Supervised, f.Rank, millions(f.Trainable), millions(f.Parameters))
	printMachine(s, f.Weights, f.Stored, f.Machine)
	t := newTable(s, "Work", "Tokens", "Seconds", "Tokens/s", "(min to max)", "GFLOP/s", "Of peak")
	t.AppendRow(workRow("step", &f.Step))
	t.Render()
	if f.Recomputed > 0 {
		fmt.Fprintf(s.out, "%d layers computed again for their gradients, to save memory\n", f.Recomputed)
	}
	printMemory(s, f.Memory)
	return nil
}

func printInfer(c *cli.Context, s streams, f *bench.InferFigures) error {
	if c.Bool("json") {
		return printJSON(s, f)
	}
	fmt.Fprintf(s.out, "infer %s (%s parameters)\n", f.Shape, millions(f.Parameters))
	printMachine(s, f.Weights, f.Stored, f.Machine)
	t := newTable(s, "Work", "Tokens", "Seconds", "Tokens/s", "(min to max)", "GFLOP/s", "Of peak")
	if f.Prompt != nil {
		t.AppendRow(workRow("prompt", f.Prompt))
	}
	if f.Generate != nil {
		t.AppendRow(workRow(fmt.Sprintf("generate, %d at once after %d", f.Batch, f.Context), f.Generate))
	}
	t.Render()
	printMemory(s, f.Memory)
	return nil
}

func printGEMM(c *cli.Context, s streams, f *bench.GEMMFigures) error {
	if c.Bool("json") {
		return printJSON(s, f)
	}
	fmt.Fprintf(s.out, "gemm %s, M %d\n", f.Shape, f.M)
	printMachine(s, "", nil, f.Machine)
	t := newTable(s, "Product", "K", "N", "Weights", "GFLOP/s", "(min to max)", "Of peak", "Of f32")
	for _, p := range f.Products {
		t.AppendRow(table.Row{p.Operation, p.K, p.N, p.Weights, fmt.Sprintf("%.1f", p.GFLOPS.Median),
			fmt.Sprintf("%.1f to %.1f", p.GFLOPS.Min, p.GFLOPS.Max), fmt.Sprintf("%.3f", p.OfPeak), fmt.Sprintf("%.3f", p.OfF32)})
	}
	t.Render()
	for _, skipped := range f.Skipped {
		fmt.Fprintf(s.out, "not measured: %s\n", skipped)
	}
	printMemory(s, f.Memory)
	return nil
}

// workRow is a row of the tables of train and infer.
func workRow(name string, w *bench.Work) table.Row {
	rate := w.TokensPerSecond
	return table.Row{name, w.TokensPerRun, fmt.Sprintf("%.4f", w.Seconds.Median), fmt.Sprintf("%.1f", rate.Median),
		fmt.Sprintf("%.1f to %.1f", rate.Min, rate.Max), fmt.Sprintf("%.1f", w.GFLOPS.Median), fmt.Sprintf("%.3f", w.OfPeak)}
}

// printMachine says what was measured on, and how the weights are stored.
func printMachine(s streams, weights string, stored bench.Stored, m bench.Machine) {
	if len(stored) > 0 {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(stored)) {
			parts = append(parts, fmt.Sprintf("%s %.1f MB", name, float64(stored[name])/1e6))
		}
		fmt.Fprintf(s.out, "weights %s: matrices %s\n", weights, strings.Join(parts, ", "))
	}
	fmt.Fprintf(s.out, "%s kernels, %d of %d processors, %s %s/%s; registers reach %.1f GFLOP/s\n\n",
		m.Kernels, m.Threads, m.CPUs, m.Go, m.OS, m.Arch, m.PeakGFLOPS)
}

func printMemory(s streams, m bench.Memory) {
	if m.PeakBytes == nil {
		fmt.Fprintln(s.out, "\npeak memory unknown on this system")
		return
	}
	fmt.Fprintf(s.out, "\npeak memory %.1f MB", float64(*m.PeakBytes)/1e6)
	if m.Within != nil {
		within := "within"
		if !*m.Within {
			within = "above"
		}
		fmt.Fprintf(s.out, ", %s the budget of %.1f MB", within, float64(m.BudgetBytes)/1e6)
	}
	fmt.Fprintln(s.out)
}

func millions(n int) string { return fmt.Sprintf("%.2f M", float64(n)/1e6) }
