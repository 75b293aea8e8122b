package main

import (
	"fmt"
	"os"
	"time"

	"github.com/retort-ml/retort/internal/hub"

	"github.com/urfave/cli/v2"
)

func dataPullCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "pull",
		Usage:     "download a dataset from a hub into the cache, and print where it is",
		ArgsUsage: "NAME[@REVISION]",
		Description: "Takes the card and the files of rows: Parquet, JSON, CSV and TSV; with --include, the files that match instead.\n" +
			"Every file is checked by its hash. An interrupted download is continued by the same command. A recipe finds the\n" +
			"dataset by hub: NAME, and never downloads.\n\n" +
			"The cache is the one of Hugging Face's tools. The variables are theirs: HF_ENDPOINT, HF_TOKEN,\n" +
			"HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "include", Usage: "take files that match `PATTERN` alone, such as 'main/train-*.parquet'"},
			&cli.BoolFlag{Name: "offline", Usage: "only look into the cache, as with HF_HUB_OFFLINE=1"},
			jsonFlag()},
		Action: func(c *cli.Context) error { return dataPull(c, s) },
	}
}

func dataPull(c *cli.Context, s streams) error {
	name, err := argument(c, "one dataset: NAME or NAME@REVISION")
	if err != nil {
		return err
	}
	ref, err := hub.ParseDatasetRef(name)
	if err != nil {
		return usageError{err}
	}
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return usageError{err}
	}
	client.Offline = client.Offline || c.Bool("offline")
	client.Progress = pullProgress(s.err, time.Now)
	snapshot, err := client.Pull(c.Context, ref, c.StringSlice("include"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(s, snapshot)
	}
	_, err = fmt.Fprintln(s.out, snapshot.Dir)
	return err
}
