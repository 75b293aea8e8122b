package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/pipeline"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"
)

func planCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "plan",
		Usage:       "say which stages run would reuse and which it would run, why, in how much memory and for how much money",
		ArgsUsage:   "RECIPE",
		Description: "Changes nothing. Fails, as run does, if a stage takes more memory than there is.",
		Flags:       []cli.Flag{storeFlag(), setFlag(), targetFlag(), jsonFlag()},
		Action:      func(c *cli.Context) error { return plan(c, s) },
	}
}

func plan(c *cli.Context, s streams) error {
	p, err := prepare(c)
	if err != nil {
		return err
	}
	plan, err := pipeline.NewPlan(c.Context, p.store, p.stages, c.StringSlice("target")...)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return errors.Join(printJSON(s, plan), plan.Err())
	}
	header := []any{"Stage", "Kind", "Action", "Why", "Peak memory", "Artifact"}
	charged := slices.ContainsFunc(plan.Stages, func(p pipeline.PlannedStage) bool { return p.Charge != nil })
	if charged {
		header = append(header, "Charge")
	}
	t := newTable(s, header...)
	for _, stage := range plan.Stages {
		why := stage.Reason
		if stage.Resumes {
			why += "; continues partial work"
		}
		row := table.Row{stage.Name, stage.Kind, stage.Action, why, peak(stage.PeakBytes), stage.ID[:16]}
		if charged {
			row = append(row, charge(stage.Charge))
		}
		t.AppendRow(row)
	}
	t.Render()
	return plan.Err()
}

// charge is a forecast of money for people, empty where nobody charges.
func charge(c *pipeline.Charge) string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("%d calls, likely $%.2f, at most $%.2f", c.Calls, c.Likely, c.Most)
	if c.Cap > 0 {
		text += fmt.Sprintf(", stops at $%.2f", c.Cap)
	}
	if c.Unsure != "" {
		text += " (" + c.Unsure + ")"
	}
	return text
}

// peak is a forecast for people, empty where there is none.
func peak(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return bytesize.Size(bytes).String()
}

func printJSON(s streams, v any) error {
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// newTable is a plain table on the standard output.
func newTable(s streams, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(s.out)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.AppendHeader(table.Row(header))
	return t
}
