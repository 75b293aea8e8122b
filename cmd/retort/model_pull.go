package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/internal/hub"

	"github.com/urfave/cli/v2"
)

func modelPullCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "pull",
		Usage:     "download a model from a hub into the cache, and print where it is",
		ArgsUsage: "NAME[@REVISION]",
		Description: "Takes the configuration, the tokenizer, chat templates and safetensors weights. Every file is checked by its\n" +
			"hash, those that are there already too. Pickle files (.bin, .pt, …) run code when they are read: they are\n" +
			"never downloaded. An interrupted download is continued by the same command.\n\n" +
			hubCache,
		Flags:  pullFlags("take files that match `PATTERN` too, such as '*Q8_0.gguf'"),
		Action: func(c *cli.Context) error { return pull(c, s, "model", hub.ParseRef) },
	}
}

// pull downloads what its argument names, read by parse, and prints where it is.
func pull(c *cli.Context, s streams, what string, parse func(string) (hub.Ref, error)) error {
	name, err := argument(c, "one "+what+": NAME or NAME@REVISION")
	if err != nil {
		return err
	}
	ref, err := parse(name)
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

// pullFlags are those of a command that downloads; include says what its PATTERN does.
func pullFlags(include string) []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "include", Usage: include},
		&cli.BoolFlag{Name: "offline", Usage: "only look into the cache, as with HF_HUB_OFFLINE=1"},
		jsonFlag()}
}

// hubCache tells where downloads are.
const hubCache = "The cache is the one of Hugging Face's tools. The variables are theirs: HF_ENDPOINT, HF_TOKEN,\n" +
	"HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE."

// progressEvery is how often a file under way is mentioned.
const progressEvery = 5 * time.Second

// pullProgress writes a line for each file that is done, and now and then for
// those under way.
func pullProgress(w io.Writer, now func() time.Time) func(hub.Progress) {
	last := map[string]time.Time{}
	return func(p hub.Progress) {
		if p.Done {
			fmt.Fprintf(w, "%s: %s, checked\n", p.File, bytesize.Size(p.Bytes))
			return
		}
		before, seen := last[p.File]
		if t := now(); !seen || t.Sub(before) >= progressEvery {
			last[p.File] = t
			if seen && p.Size >= 0 {
				fmt.Fprintf(w, "%s: %s of %s\n", p.File, bytesize.Size(p.Bytes), bytesize.Size(p.Size))
			}
		}
	}
}
