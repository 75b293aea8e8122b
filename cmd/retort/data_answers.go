package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/retort-ml/retort/distill"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"
)

// answersFile is the answer store in the directory of artifacts and runs.
const answersFile = "answers.db"

// longestCall is how long a call or a batch can live: batch APIs end theirs
// after 24 hours, and leave a while to fetch it.
const longestCall = 48 * time.Hour

func dataAnswersCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "answers",
		Usage:     "look into the store of teachers' answers, or export it",
		ArgsUsage: "[STORE]",
		Description: "STORE is an answer store, or a directory that holds " + answersFile + "; otherwise that of --store. It may be in use.\n" +
			"Answers come in the order in which they were kept. Damaged ones are named, and the exit code is then 1.\n" +
			"--key prints whole answers with their requests and the server's responses; a key's beginning is enough.\n" +
			"--spend prints what was spent by account. Reserved money is of calls under way, or of processes that died\n" +
			"before they wrote down what a call cost; --release frees what was reserved more than 48 hours ago.",
		Flags: []cli.Flag{storeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "teacher", Usage: "only of teachers whose identity contains `TEXT`"},
			&cli.StringFlag{Name: "model", Usage: "only of models whose name contains `TEXT`"},
			&cli.StringFlag{Name: "finish", Usage: "only those that ended so: `HOW` is stop, length, empty, given, tool_calls or refusal"},
			&cli.StringFlag{Name: "contains", Usage: "only those with `TEXT` in prompt, answer or reasoning"},
			&cli.StringFlag{Name: "since", Usage: "only those kept since `TIME`: 2006-01-02, RFC 3339, or 36h ago"},
			&cli.IntFlag{Name: "limit", Usage: "at most `N`; 0 means all"},
			&cli.StringFlag{Name: "key", Usage: "the answer with `HASH`, whole"},
			&cli.StringFlag{Name: "export", Usage: "write them to a Parquet `FILE`"},
			&cli.BoolFlag{Name: "spend", Usage: "print what was spent, by account"},
			&cli.StringFlag{Name: "release", Usage: "free old reservations of `ACCOUNT`"},
		},
		Action: func(c *cli.Context) error { return dataAnswers(c, s) },
	}
}

func dataAnswers(c *cli.Context, s streams) (err error) {
	filter, err := answersFilter(c, time.Now())
	if err != nil {
		return err
	}
	path, err := answersPath(c)
	if err != nil {
		return err
	}
	store, err := distill.OpenStore(c.Context, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	switch {
	case c.String("release") != "":
		freed, err := store.Release(c.Context, c.String("release"), time.Now().Add(-longestCall))
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%v freed\n", freed)
		return nil
	case c.Bool("spend"):
		return printSpending(c, s, store)
	case c.String("export") != "":
		return exportAnswers(c.Context, s, store, filter, c.String("export"))
	}
	return printAnswers(c, s, store, filter)
}

// answersPath is where the store is; it must be there.
func answersPath(c *cli.Context) (string, error) {
	if c.NArg() > 1 {
		return "", usagef("answers: want one STORE, have %d arguments", c.NArg())
	}
	path := c.String("store")
	if c.NArg() == 1 {
		path = c.Args().First()
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, answersFile)
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("open answer store: %w", err)
	}
	return path, nil
}

func answersFilter(c *cli.Context, now time.Time) (distill.Filter, error) {
	f := distill.Filter{Key: c.String("key"), Teacher: c.String("teacher"), Model: c.String("model"), Finish: c.String("finish"),
		Contains: c.String("contains"), Limit: c.Int("limit")}
	if f.Limit < 0 {
		return f, usagef("answers: --limit %d: want 0 or more", f.Limit)
	}
	actions := 0
	for _, name := range []string{"spend", "release", "export", "key"} {
		if c.IsSet(name) {
			actions++
		}
	}
	if actions > 1 {
		return f, usagef("answers: --key, --export, --spend and --release exclude each other")
	}
	since := c.String("since")
	if since == "" {
		return f, nil
	}
	if ago, err := time.ParseDuration(since); err == nil && ago >= 0 {
		f.Since = now.Add(-ago)
		return f, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, since); err == nil {
			f.Since = at
			return f, nil
		}
	}
	return f, usagef("answers: --since %q: want 2006-01-02, 2006-01-02T15:04:05Z or a time ago as 36h", since)
}

func exportAnswers(ctx context.Context, s streams, store *distill.Store, f distill.Filter, path string) error {
	written, damaged, err := store.Export(ctx, f, path)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "%d answers written to %s\n", written, path)
	return errors.Join(damaged...)
}

func printSpending(c *cli.Context, s streams, store *distill.Store) error {
	accounts, err := store.Spending(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(s, accounts)
	}
	t := newTable(s, "Account", "Calls", "Spent", "Reserved", "Open calls")
	for _, a := range accounts {
		t.AppendRow(table.Row{visible(a.Name), a.Calls, a.Spent, a.Reserved, a.Open})
	}
	t.Render()
	return nil
}
