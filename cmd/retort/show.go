package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/retort-ml/retort/pipeline"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"
)

func showCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "list runs and artifacts, or show one",
		ArgsUsage: "[RUN | ARTIFACT | STAGE]",
		Description: "Without an argument, lists what the store holds. With one, shows a run by its id, or an artifact by its\n" +
			"id, the beginning of it, or the name of a stage of the latest run that has it.",
		Flags:  []cli.Flag{storeFlag(), jsonFlag()},
		Action: func(c *cli.Context) error { return show(c, s) },
	}
}

func show(c *cli.Context, s streams) error {
	if c.NArg() > 1 {
		return usagef("show: want at most one run or artifact, have %d", c.NArg())
	}
	store, err := pipeline.Open(c.String("store"))
	if err != nil {
		return err
	}
	runs, err := store.Runs()
	if err != nil {
		return err
	}
	if c.NArg() == 0 {
		return showAll(c, s, store, runs)
	}
	ref := c.Args().First()
	if i := slices.IndexFunc(runs, func(r *pipeline.Record) bool { return r.ID == ref }); i >= 0 {
		return showRun(c, s, runs[i])
	}
	a, err := store.Artifact(ref)
	if err != nil {
		return err
	}
	return showArtifact(c, s, a)
}

func showAll(c *cli.Context, s streams, store *pipeline.Store, runs []*pipeline.Record) error {
	artifacts, err := store.Artifacts()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		manifests := map[string]*pipeline.Manifest{} // null for a damaged artifact
		for _, a := range artifacts {
			manifests[a.Name()] = a.Manifest
		}
		return printJSON(s, map[string]any{"runs": runs, "artifacts": manifests})
	}
	t := newTable(s, "Run", "Recipe", "Status", "Took")
	for _, r := range runs {
		took := ""
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Started).Round(time.Second).String()
		}
		t.AppendRow(table.Row{r.ID, r.Recipe, r.Status, took})
	}
	t.Render()
	fmt.Fprintln(s.out)
	t = newTable(s, "Artifact", "Stage", "Files", "Bytes")
	for _, a := range artifacts {
		if a.Damage != nil {
			t.AppendRow(table.Row{a.Name(), "damaged: " + a.Damage.Error()})
			continue
		}
		var bytes int64
		for _, f := range a.Manifest.Files {
			bytes += f.Size
		}
		t.AppendRow(table.Row{a.Name(), a.Manifest.Stage, len(a.Manifest.Files), bytes})
	}
	t.Render()
	return nil
}

func showRun(c *cli.Context, s streams, r *pipeline.Record) error {
	if c.Bool("json") {
		return printJSON(s, r)
	}
	fmt.Fprintf(s.out, "run %s of %s: %s\n", r.ID, r.Recipe, r.Status)
	if r.Error != "" {
		fmt.Fprintf(s.out, "%s\n", r.Error)
	}
	t := newTable(s, "Stage", "Kind", "Outcome", "Why", "Seconds", "Peak memory", "Planned")
	for _, st := range r.Stages {
		t.AppendRow(table.Row{st.Name, st.Kind, st.Outcome, st.Reason, fmt.Sprintf("%.1f", st.Seconds), peak(st.PeakBytes), peak(st.PlannedBytes)})
	}
	t.Render()
	return nil
}

func showArtifact(c *cli.Context, s streams, a *pipeline.Artifact) error {
	if a.Damage != nil {
		return a.Damage
	}
	if c.Bool("json") {
		return printJSON(s, a.Manifest)
	}
	fmt.Fprintf(s.out, "%s\n", shortest(a.Dir))
	t := newTable(s, "File", "Bytes", "SHA-256")
	for _, f := range a.Manifest.Files {
		t.AppendRow(table.Row{f.Path, f.Size, f.SHA256[:16]})
	}
	t.Render()
	fmt.Fprintln(s.out)
	t = newTable(s, "Input", "Artifact")
	for _, in := range a.Manifest.Inputs {
		t.AppendRow(table.Row{in.Stage, in.ID[:16]})
	}
	t.Render()
	return nil
}
