package main

import "github.com/urfave/cli/v2"

func dataCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "data",
		Usage:       "a recipe's data, and the answers that teachers gave",
		Subcommands: dataCommands(s),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("data: unknown command %q; retort data --help lists them", c.Args().First())
			}
			return usagef("data: want a command; retort data --help lists them")
		},
	}
}

// dataCommands are those of data.
func dataCommands(s streams) []*cli.Command {
	return []*cli.Command{dataShowCommand(s), dataAnswersCommand(s), dataPullCommand(s)}
}
