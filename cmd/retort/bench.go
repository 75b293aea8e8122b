package main

import (
	"strings"

	"github.com/retort-ml/retort/internal/bench"
	"github.com/retort-ml/retort/internal/bytesize"

	"github.com/urfave/cli/v2"
)

func benchCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "bench",
		Usage: "measure the engine on random weights of a named shape",
		Description: "Needs no files. Figures are medians of several runs after a warm-up; GFLOP/s count matrix products alone,\n" +
			"and \"of peak\" compares them with what the processor's registers reach in the same run. Peak memory is the\n" +
			"whole process's.\n\n" +
			"Shapes: " + strings.Join(bench.Shapes(), ", ") + ".\n" +
			"Weights: " + strings.Join(bench.Weights(), ", ") + ".",
		Subcommands: []*cli.Command{benchTrainCommand(s), benchInferCommand(s), benchGEMMCommand(s)},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("bench: unknown benchmark %q: there are train, infer, gemm", c.Args().First())
			}
			return usagef("bench: want a benchmark: train, infer or gemm; retort bench --help tells more")
		},
	}
}

func benchTrainCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "train",
		Usage: "whole optimizer steps of LoRA training, all linear layers tuned",
		Description: "Beside linear layers of 4 bits the embedding and the head are BF16, as QLoRA leaves them. Otherwise they\n" +
			"are stored as the other matrices.",
		Flags: append(benchFlags(), weightsFlag("bf16"),
			&cli.IntFlag{Name: "batch", Value: 1, Usage: "`B` sequences of a step"},
			&cli.IntFlag{Name: "seq", Value: 512, Usage: "`T` tokens of a sequence"},
			&cli.IntFlag{Name: "rank", Value: 16, Usage: "`R` of the low-rank updates"},
			&cli.IntFlag{Name: "supervised", Usage: "`N` tokens of a step have a loss, the last of each sequence; 0 means all"},
			&cli.StringFlag{Name: "memory", Usage: "stay below `SIZE`, as 900MB or 1.2GB: layers are recomputed for that, and a smaller size than is needed is an error"}),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o := bench.TrainOptions{Shape: c.String("shape"), Weights: c.String("weights"), Batch: c.Int("batch"), Seq: c.Int("seq"),
				Rank: c.Int("rank"), Supervised: c.Int("supervised"), Threads: c.Int("threads"), Runs: c.Int("runs")}
			if c.IsSet("memory") {
				size, err := bytesize.Parse(c.String("memory"))
				if err != nil {
					return usagef("memory: %w", err)
				}
				o.MemoryBytes = int64(size)
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			f, err := bench.Train(c.Context, o)
			if err != nil {
				return discarded{err}
			}
			return printTrain(c, s, f)
		},
	}
}

func benchInferCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "infer",
		Usage: "taking in a prompt, and generating tokens, greedily",
		Description: "The head (it is the embedding, too) of q4_0 is Q8_0, as retort's quantize stage makes it, of q4_k_m Q6_K, of\n" +
			"nf4 BF16. Prompt and generation are measured apart: generated tokens follow --context others, not the prompt.",
		Flags: append(benchFlags(), weightsFlag("q8_0"),
			&cli.BoolFlag{Name: "pure", Usage: "store every matrix alike, the head too"},
			&cli.IntFlag{Name: "prompt", Value: 512, Usage: "`N` tokens of the prompt; 0 leaves it out"},
			&cli.IntFlag{Name: "generate", Value: 64, Usage: "`N` tokens for each sequence; 0 leaves generating out"},
			&cli.IntFlag{Name: "context", Value: 1, Usage: "`N` tokens of a sequence before the first that is generated"},
			&cli.IntFlag{Name: "batch", Value: 1, Usage: "generate `N` sequences at once"}),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o := bench.InferOptions{Shape: c.String("shape"), Weights: c.String("weights"), Pure: c.Bool("pure"), Prompt: c.Int("prompt"),
				Generate: c.Int("generate"), Context: c.Int("context"), Batch: c.Int("batch"), Threads: c.Int("threads"), Runs: c.Int("runs")}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			f, err := bench.Infer(c.Context, o)
			if err != nil {
				return discarded{err}
			}
			return printInfer(c, s, f)
		},
	}
}

func benchGEMMCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "gemm",
		Usage:       "the matrix products of a shape, every weight format beside f32",
		Description: "Formats are measured in turns; \"of f32\" compares samples of the same round.",
		Flags: append(benchFlags(),
			&cli.StringFlag{Name: "weights", Value: "all", Usage: "`FORMATS`, several with commas between, or all"},
			&cli.IntFlag{Name: "m", Value: 512, Usage: "`M` rows of the activations"}),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o := bench.GEMMOptions{Shape: c.String("shape"), M: c.Int("m"), Weights: strings.Split(c.String("weights"), ","),
				Threads: c.Int("threads"), Runs: c.Int("runs")}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			f, err := bench.GEMM(c.Context, o)
			if err != nil {
				return discarded{err}
			}
			return printGEMM(c, s, f)
		},
	}
}

// benchFlags are those of every benchmark.
func benchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "shape", Value: "smol135", Usage: "`NAME` of a model's shape: " + strings.Join(bench.Shapes(), ", ")},
		&cli.IntFlag{Name: "threads", Usage: "`N` threads compute; 0 means as many as Go may use"},
		&cli.IntFlag{Name: "runs", Value: 5, Usage: "measure `N` runs"},
		jsonFlag(),
	}
}

func weightsFlag(value string) cli.Flag {
	return &cli.StringFlag{Name: "weights", Value: value, Usage: "`NAME` of the storage: " + strings.Join(bench.Weights(), ", ")}
}

func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("bench %s: want no arguments, have %q", c.Command.Name, c.Args().Slice())
	}
	return nil
}
