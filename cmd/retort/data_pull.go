package main

import (
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
			hubCache,
		Flags:  pullFlags("take files that match `PATTERN` alone, such as 'main/train-*.parquet'"),
		Action: func(c *cli.Context) error { return pull(c, s, "dataset", hub.ParseDatasetRef) },
	}
}
