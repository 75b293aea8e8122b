package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/internal/checkpoint"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"
)

func modelShowCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "say what a model is: architecture, size, memory, tokens, what tuning supports",
		ArgsUsage: "PATH",
		Description: "Weights are not read. The table of memory is of all weights in each format, rows that are not whole blocks\n" +
			"in F16; running takes the cache of keys and values besides.",
		Flags:  []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error { return modelShow(c, s) },
	}
}

func modelShow(c *cli.Context, s streams) error {
	path, err := modelPath(c)
	if err != nil {
		return err
	}
	d, err := checkpoint.Describe(path)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(s, d)
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(s.out, "%-16s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("model", "%s", d.Path)
	line("architecture", "%s, %d layers of width %d", d.Architecture, d.Layers, d.Width)
	line("parameters", "%d", d.Parameters)
	line("files", "%s, %s", d.Format, bytesize.Size(d.FileBytes))
	for _, t := range d.Stored {
		line("stored as", "%s: %d tensors, %s", t.Name, t.Tensors, bytesize.Size(t.Bytes))
	}
	line("context", "%d tokens", d.Context)
	line("vocabulary", "%d", d.Vocabulary)
	if len(d.Classes) > 0 {
		line("classes", "%s", strings.Join(d.Classes, ", "))
	}
	showTokens(line, d)
	line("LoRA targets", "%s", strings.Join(d.Tuning.LoRATargets, ", "))
	line("frozen bases", "%s", strings.Join(d.Tuning.Bases, ", "))
	if d.Tuning.Full {
		line("full tuning", "yes")
	}
	fmt.Fprintln(s.out)
	t := newTable(s, "Weights in", "Memory")
	for _, m := range d.Memory {
		t.AppendRow(table.Row{m.Format, bytesize.Size(m.Bytes)})
	}
	t.Render()
	return nil
}

// showTokens prints what the tokenizer is, if there is one.
func showTokens(line func(name, format string, args ...any), d *checkpoint.Description) {
	for _, t := range d.Special {
		text := ""
		if d.Tokenizer != nil {
			text = strconv.Quote(t.Token)
		}
		line(t.Use+" token", "%s", strings.TrimSpace(fmt.Sprint(t.ID, " ", text)))
	}
	if d.Tokenizer == nil {
		line("tokenizer", "none")
		return
	}
	line("tokenizer", "ids to %d, sha256 %s", d.Tokenizer.Size-1, d.Tokenizer.SHA256)
	if d.Tokenizer.ChatTemplate {
		line("chat template", "sha256 %s", d.Tokenizer.TemplateHash)
	} else {
		line("chat template", "none")
	}
}
