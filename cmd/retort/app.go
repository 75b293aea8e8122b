package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/retort-ml/retort/recipes"

	"github.com/urfave/cli/v2"
)

// version is the program's version, written into run records and manifests.
const version = "0.1.0"

// The exit codes, as every command's help lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

const exitCodes = "Exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 130 interrupted."

// streams are where a command writes: data to out, everything else to err.
type streams struct{ out, err io.Writer }

// usageError is a command line that asks for nothing sensible.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// discarded is the end of work that keeps nothing when it is interrupted.
type discarded struct{ error }

func (d discarded) Unwrap() error { return d.error }

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, s streams) int {
	app := newApp(s)
	err := app.RunContext(ctx, flagsFirst(app, args))
	if err == nil {
		return exitDone
	}
	var usage usageError
	var lost discarded
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()) && errors.As(err, &lost):
		fmt.Fprintln(s.err, "retort: interrupted")
		return exitInterrupted
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(s.err, "retort: interrupted; the same command continues where it stopped")
		return exitInterrupted
	case recipes.IsFault(err):
		fmt.Fprintln(s.err, err)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "retort: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(s.err, "retort: %v\n", err)
	return exitFailed
}

func newApp(s streams) *cli.App {
	app := &cli.App{
		Name:  "retort",
		Usage: "distil a large model's behaviour on one domain into a small model that runs anywhere",
		UsageText: "retort run quickstart          the whole pipeline on a built-in example\n" +
			"retort run recipe.yaml         … on your own recipe\n" +
			"retort plan recipe.yaml        what run would do",
		Description:            exitCodes,
		Version:                version,
		Writer:                 s.out,
		ErrWriter:              s.err,
		HideHelpCommand:        true,
		UseShortOptionHandling: true,
		// A --set may have commas in its value.
		DisableSliceFlagSeparator: true,
		Commands:                  []*cli.Command{runCommand(s), planCommand(s), showCommand(s), reportCommand(s), benchCommand(s), dataCommand(s), modelCommand(s)},
		OnUsageError:              onUsageError,
		// urfave/cli exits the process by itself otherwise.
		ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("unknown command %q; retort --help lists them", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	complete(app.Commands)
	return app
}

// complete gives commands what all of them have.
func complete(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = onUsageError
		c.Description = strings.TrimSpace(c.Description + "\n" + exitCodes)
		c.HideHelpCommand = true
		complete(c.Subcommands)
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usageError{err} }

// flagsFirst moves a command's flags before its arguments: urfave/cli takes
// everything after the first argument for arguments.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 3 {
		return args
	}
	at := slices.IndexFunc(args[1:], func(a string) bool { return app.Command(a) != nil }) + 1
	if at == 0 {
		return args
	}
	command := app.Command(args[at])
	for at+1 < len(args) {
		i := slices.IndexFunc(command.Subcommands, func(c *cli.Command) bool { return c.HasName(args[at+1]) })
		if i < 0 {
			break
		}
		command, at = command.Subcommands[i], at+1
	}
	takesValue := map[string]bool{}
	for _, f := range command.Flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takesValue[name] = !isBool
		}
	}
	var flags, rest []string
	for i := at + 1; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		if takesValue[strings.TrimLeft(a, "-")] && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	out := append(slices.Clone(args[:at+1]), flags...)
	if len(rest) > 0 {
		out = append(append(out, "--"), rest...)
	}
	return out
}

// argument is the command's only argument.
func argument(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usagef("%s: want %s, have %d arguments", c.Command.Name, what, c.NArg())
	}
	return c.Args().First(), nil
}

// The flags that several commands have.
func storeFlag() cli.Flag {
	return &cli.StringFlag{Name: "store", Value: ".retort", Usage: "`DIR` that holds artifacts and runs", EnvVars: []string{"RETORT_STORE"}}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "change the recipe: `KEY=VALUE`, where KEY is stages.NAME.key, or NAME.key for short"}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }

func targetFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "target", Usage: "only make `STAGE` and what it needs"}
}
