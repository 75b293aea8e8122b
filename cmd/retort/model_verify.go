package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/retort-ml/retort/internal/verify"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"
)

func modelVerifyCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "compare this engine's numbers with those that other software computed",
		ArgsUsage: "PATH",
		Description: "The reference is a safetensors file of input_ids and any of: labels, logits, loss_mean, loss_sum, loss_tokens,\n" +
			"greedy_prompt<P>_new<N>, and with an adapter lora_logits, lora_loss_mean, lora_grad.<name>,\n" +
			"lora_adamw<N>_losses, merged_logits. Tolerances: 2e-4 absolute and relative on logits and losses, 1e-3 of the\n" +
			"norm on gradients, 1e-3 on the losses of training, no other token. Beyond one of them the exit code is 1.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reference", Usage: "`FILE` of reference tensors; golden.safetensors beside the model otherwise"},
			&cli.StringFlag{Name: "adapter", Usage: "`DIR` of a PEFT adapter; adapter beside the reference or the model otherwise"},
			jsonFlag()},
		Action: func(c *cli.Context) error { return modelVerify(c, s) },
	}
}

func modelVerify(c *cli.Context, s streams) error {
	path, err := modelPath(c)
	if err != nil {
		return err
	}
	r, err := verify.Run(c.Context, verify.Options{Model: path, Reference: c.String("reference"), Adapter: c.String("adapter")})
	if err != nil {
		return discarded{err}
	}
	if c.Bool("json") {
		err = printJSON(s, r)
	} else {
		printVerified(s, r)
	}
	if !r.OK {
		n := 0
		for _, check := range r.Checks {
			if !check.OK {
				n++
			}
		}
		err = errors.Join(err, fmt.Errorf("verify %s: %d of %d comparisons are beyond the tolerance", path, n, len(r.Checks)))
	}
	return err
}

// printVerified prints a row for each tensor, but one for all gradients within
// the tolerance: a model has hundreds.
func printVerified(s streams, r *verify.Report) {
	t := newTable(s, "Tensor", "Worst deviation", "Tolerance", "Of", "")
	row := func(name string, c verify.Check) {
		verdict := "ok"
		if !c.OK {
			verdict = "FAIL: " + c.Worst
		}
		t.AppendRow(table.Row{name, fmt.Sprintf("%.3g", float64(c.Deviation)), fmt.Sprintf("%.3g", c.Tolerance), c.Measure, verdict})
	}
	var worst verify.Check
	gradients := 0
	flush := func() {
		if gradients > 0 {
			prefix, name, _ := strings.Cut(worst.Tensor, "grad.")
			row(fmt.Sprintf("%sgrad.* (%d), worst %s", prefix, gradients, name), worst)
		}
		gradients = 0
	}
	for _, c := range r.Checks {
		if !strings.HasPrefix(strings.TrimPrefix(c.Tensor, "lora_"), "grad.") || !c.OK {
			flush()
			row(c.Tensor, c)
			continue
		}
		if gradients++; gradients == 1 || c.Deviation > worst.Deviation {
			worst = c
		}
	}
	flush()
	t.Render()
	for _, name := range r.NotCompared {
		fmt.Fprintf(s.out, "not compared: %s\n", name)
	}
	for _, name := range r.Absent {
		fmt.Fprintf(s.out, "absent from the reference: %s\n", name)
	}
}
