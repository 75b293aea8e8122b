package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/pipeline"

	"github.com/urfave/cli/v2"
)

func runCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "run",
		Usage:       "run a recipe's stages, reusing what has not changed",
		ArgsUsage:   "RECIPE",
		Description: "An interrupted run continues where it stopped. The reports' tables go to the standard output.",
		Flags:       []cli.Flag{storeFlag(), setFlag(), targetFlag()},
		Action:      func(c *cli.Context) error { return run(c, s) },
	}
}

func run(c *cli.Context, s streams) error {
	p, err := prepare(c)
	if err != nil {
		return err
	}
	o := newObserver(s.err)
	record, err := pipeline.Run(c.Context, p.store, p.stages, pipeline.Options{
		Targets: c.StringSlice("target"), Recipe: p.recipe.Name, RecipeText: p.recipe.Text,
		Program: "retort " + version, Observer: o,
	})
	o.close()
	if err != nil {
		return err
	}
	for _, stage := range record.Stages {
		if stage.Kind != "eval" {
			continue
		}
		a, err := p.store.Artifact(stage.ID)
		if err != nil {
			return err
		}
		if err := printReport(s, a.Dir); err != nil {
			return err
		}
	}
	return nil
}

// printReport prints a report's table, and where the report is.
func printReport(s streams, dir string) error {
	r, err := eval.ReadReport(dir)
	if err != nil {
		return err
	}
	if err := r.Table(s.out, eval.FormatText); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "\n%s\n", shortest(filepath.Join(dir, "report.md")))
	return err
}

// shortest is path relative to the working directory, when that is shorter.
func shortest(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
