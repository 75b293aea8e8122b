package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/recipes"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

func dataShowCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "print examples as a train stage would learn them, before it does",
		ArgsUsage: "RECIPE",
		Description: "Runs no stage and changes nothing. What is learned is marked: in colour on a terminal, else between [[ and ]].\n" +
			"Control characters in texts are escaped. Below the examples are the lengths of all in tokens, how rows are filled,\n" +
			"and which rows are cut or not learned. Fails if nothing is learned of some rows and the stage does not drop these.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "stage", Usage: "show what `STAGE` learns, of the kind train or tokens; the last train stage if not set"},
			&cli.BoolFlag{Name: "valid", Usage: "show its validation data instead"},
			&cli.IntFlag{Name: "rows", Value: 3, Usage: "show `N` examples"},
			&cli.Uint64Flag{Name: "seed", Usage: "choose them at random by seed `N`, instead of the first ones"},
			&cli.BoolFlag{Name: "ids", Usage: "print token ids, too"},
			storeFlag(), setFlag(), jsonFlag()},
		Action: func(c *cli.Context) error { return dataShow(c, s) },
	}
}

// maxShown is how many examples are shown at most.
const maxShown = 10_000

func dataShow(c *cli.Context, s streams) error {
	o := recipes.PreviewOptions{Stage: c.String("stage"), Valid: c.Bool("valid"), Rows: c.Int("rows")}
	if o.Rows < 0 || o.Rows > maxShown {
		return usagef("--rows %d: want 0 to %d", o.Rows, maxShown)
	}
	if c.IsSet("seed") {
		seed := c.Uint64("seed")
		o.Seed = &seed
	}
	p, err := prepare(c)
	if err != nil {
		return err
	}
	if o.Stage != "" && !p.recipe.HasStage(o.Stage) {
		return usagef("--stage %s: the recipe has no such stage", o.Stage)
	}
	made, err := p.made(c)
	if err != nil {
		return err
	}
	preview, err := p.recipe.Preview(c.Context, made, o)
	if err != nil {
		return discarded{err}
	}
	if c.Bool("json") {
		err = printJSON(s, preview)
	} else {
		err = printPreview(s.out, preview, c.Bool("ids"), isTerminal(s.out))
	}
	if err == nil && preview.Counts.Unlearned > 0 && preview.Policy.NothingLearned == "error" {
		err = fmt.Errorf("nothing is learned of %d of %d examples: stage %s would fail; correct or remove them, or set nothing_learned: drop",
			preview.Counts.Unlearned, preview.Counts.Examples, preview.Stage)
	}
	return err
}

// made finds the artifacts of stages that are up to date.
func (p *prepared) made(c *cli.Context) (func(stage string) string, error) {
	plan, err := pipeline.NewPlan(c.Context, p.store, p.stages)
	if err != nil {
		return nil, err
	}
	dirs := map[string]string{}
	for _, stage := range plan.Stages {
		if a, err := p.store.Artifact(stage.ID); err == nil && a.Damage == nil && stage.Action == pipeline.ActionReuse {
			dirs[stage.Name] = a.Dir
		}
	}
	return func(stage string) string { return dirs[stage] }, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

// marks stand around what is learned.
type marks struct{ begin, end string }

func printPreview(out io.Writer, p *recipes.Preview, ids, colour bool) error {
	w, m := bufio.NewWriter(out), marks{"[[", "]]"}
	if colour {
		m = marks{"\x1b[1;32m", "\x1b[0m"}
	}
	fmt.Fprintf(w, "stage %s learns %s, up to %d tokens of an example\n", visible(p.Stage), visible(p.On), p.Policy.Length)
	fmt.Fprintf(w, "learned: %s; other tokens count with weight %g; too long: %s; nothing learned: %s\n",
		learnedWords(p.Policy.Learn), p.Policy.Weights["other"], p.Policy.TooLong, p.Policy.NothingLearned)
	for _, e := range p.Examples {
		cut := ""
		if e.Cut {
			cut = ", cut"
		}
		fmt.Fprintf(w, "\n── %s row %d, example %s: %d tokens, %d learned%s\n", visible(e.File), e.Row, visible(e.ID), e.Tokens, e.Learned, cut)
		for _, part := range e.Parts {
			text := strings.ReplaceAll(visible(part.Text), `\n`, "\\n\n")
			if part.Learned {
				text = m.around(text)
			}
			io.WriteString(w, text)
		}
		io.WriteString(w, "\n")
		if ids {
			for _, part := range e.Parts {
				fmt.Fprintf(w, "%s %v\n", map[bool]string{true: "learned", false: "given  "}[part.Learned], part.IDs)
			}
		}
	}
	printCounts(w, p)
	return w.Flush()
}

func learnedWords(learn string) string {
	return map[string]string{"last": "the response, or the last turn of the assistant", "all": "every turn of the assistant",
		"prompts": "the prompts alone"}[learn]
}

// around marks text, line by line, so that no colour runs on.
func (m marks) around(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if body := strings.TrimSuffix(line, "\n"); body != "" {
			lines[i] = m.begin + body + m.end + line[len(body):]
		}
	}
	return strings.Join(lines, "")
}

func printCounts(w io.Writer, p *recipes.Preview) {
	c := p.Counts
	fmt.Fprintf(w, "\n%d examples: %d are learned, %d of these cut; left out are %d too long and %d with nothing to learn\n",
		c.Examples, c.Sequences, c.Cut, c.TooLong, c.Unlearned)
	for _, l := range c.First {
		fmt.Fprintf(w, "  left out: %s\n", visible(l.String()))
	}
	for _, row := range []struct {
		name string
		l    fmt.Stringer
	}{{"tokens", p.Statistics.Total}, {"of the prompt", p.Statistics.Prompt}, {"learned", p.Statistics.Learned}} {
		fmt.Fprintf(w, "%-14s%s\n", row.name, row.l)
	}
	if k := p.Packing; k != nil {
		fmt.Fprintf(w, "%d batches of %d rows of %d tokens, %.1f %% full; %d steps an epoch\n", k.Batches, k.Rows, k.Length, 100*k.Fill, k.Steps)
	}
}
