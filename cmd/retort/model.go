package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/retort-ml/retort/internal/hub"

	"github.com/urfave/cli/v2"
)

func modelCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "model",
		Usage: "look at one model: download, describe, verify, tokenize, convert",
		Description: "A model is a Hugging Face directory, a GGUF file, or the name of a model that model pull downloaded\n" +
			"(org/name or org/name@revision).",
		Subcommands: modelCommands(s),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("model: unknown command %q; retort model --help lists them", c.Args().First())
			}
			return usagef("model: want a command; retort model --help lists them")
		},
	}
}

// modelPath is the command's only argument, the path of a model, or where the
// cache has the model of that name.
func modelPath(c *cli.Context) (string, error) {
	path, err := argument(c, "one model: a directory, a GGUF file, or a name in the cache")
	if err != nil {
		return "", err
	}
	return modelAt(path)
}

// modelAt is path, or where the cache has the model of that name.
func modelAt(path string) (string, error) {
	_, err := os.Stat(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	ref, refErr := hub.ParseRef(path)
	if refErr != nil {
		return "", err
	}
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return "", err
	}
	snapshot, err := client.Find(ref)
	if err != nil {
		return "", fmt.Errorf("%s is no file, and as the name of a model: %w; retort model pull %s downloads it", path, err, path)
	}
	return snapshot.Model()
}
