package main

import (
	"fmt"

	"github.com/retort-ml/retort/internal/checkpoint"

	"github.com/urfave/cli/v2"
)

func modelConvertCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "write a model in another layout or type, or an adapter for llama.cpp",
		ArgsUsage: "PATH OUT",
		Description: "The tokenizer goes along. OUT must not exist, and appears complete or not at all. Without --dtype plain\n" +
			"matrices keep their type and quantized ones become f32. Fewer bits are what the quantize stage is for.\n" +
			"With --adapter a PEFT adapter is merged into the model first. With --base PATH is a PEFT adapter of that\n" +
			"model, and OUT a GGUF adapter of f32 or f16, which llama.cpp adds to a GGUF file of the model (--lora).",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "`LAYOUT`: hf, a Hugging Face directory, or gguf"},
			&cli.StringFlag{Name: "dtype", Usage: "`TYPE` of the matrices: f32, f16 or bf16"},
			&cli.StringFlag{Name: "adapter", Usage: "`DIR` of a PEFT adapter to merge into the model"},
			&cli.StringFlag{Name: "base", Usage: "the `MODEL` whose PEFT adapter PATH is"}},
		Action: func(c *cli.Context) error { return modelConvert(c, s) },
	}
}

func modelConvert(c *cli.Context, s streams) error {
	if c.NArg() != 2 {
		return usagef("convert: want a model and what to write, have %d arguments", c.NArg())
	}
	o := checkpoint.ConvertOptions{To: c.String("to"), Out: c.Args().Get(1), Dtype: c.String("dtype"),
		Adapter: c.String("adapter"), Base: c.String("base")}
	if err := o.Validate(); err != nil {
		return usageError{fmt.Errorf("convert: %w", err)}
	}
	var err error
	if o.From = c.Args().First(); o.Base != "" {
		o.Base, err = modelAt(o.Base)
	} else {
		o.From, err = modelAt(o.From)
	}
	if err != nil {
		return err
	}
	notes, err := checkpoint.Convert(c.Context, o)
	if err != nil {
		return discarded{err}
	}
	for _, note := range notes {
		fmt.Fprintf(s.err, "note: %s\n", note)
	}
	_, err = fmt.Fprintln(s.out, o.Out)
	return err
}
