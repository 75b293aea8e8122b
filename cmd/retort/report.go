package main

import (
	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/pipeline"

	"github.com/urfave/cli/v2"
)

func reportCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "print a report",
		ArgsUsage: "[ARTIFACT | STAGE]",
		Description: "Without an argument, prints the reports of the latest run. An artifact is named by its id, the beginning\n" +
			"of it, or the name of its stage.",
		Flags: []cli.Flag{storeFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "markdown", Usage: "print the table as Markdown"}},
		Action: func(c *cli.Context) error { return report(c, s) },
	}
}

func report(c *cli.Context, s streams) error {
	if c.NArg() > 1 {
		return usagef("report: want at most one artifact, have %d", c.NArg())
	}
	store, err := pipeline.Open(c.String("store"))
	if err != nil {
		return err
	}
	refs := c.Args().Slice()
	if len(refs) == 0 {
		if refs, err = latestReports(store); err != nil {
			return err
		}
	}
	for _, ref := range refs {
		a, err := store.Artifact(ref)
		if err != nil {
			return err
		}
		if a.Damage != nil {
			return a.Damage
		}
		if a.Manifest.Kind != "eval" {
			return usagef("report: %s is of kind %s, not a report", ref, a.Manifest.Kind)
		}
		if err := printAs(c, s, a.Dir); err != nil {
			return err
		}
	}
	return nil
}

func printAs(c *cli.Context, s streams, dir string) error {
	switch {
	case c.Bool("json"):
		r, err := eval.ReadReport(dir)
		if err != nil {
			return err
		}
		return printJSON(s, r)
	case c.Bool("markdown"):
		r, err := eval.ReadReport(dir)
		if err != nil {
			return err
		}
		return r.Table(s.out, eval.FormatMarkdown)
	}
	return printReport(s, dir)
}

// latestReports are the report artifacts of the latest run that made some.
func latestReports(store *pipeline.Store) ([]string, error) {
	runs, err := store.Runs()
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		var ids []string
		for _, st := range r.Stages {
			if st.Kind == "eval" && (st.Outcome == pipeline.Ran || st.Outcome == pipeline.Reused) {
				ids = append(ids, st.ID)
			}
		}
		if len(ids) > 0 {
			return ids, nil
		}
	}
	return nil, usagef("report: no run in %s made a report yet", store.Dir())
}
