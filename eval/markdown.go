package eval

import (
	"bytes"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
)

// markdown writes report.md: tables per metric, what the tests found, every comparison in
// numbers, how long it took, and how to read it.
func (r *Report) markdown(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\n\n%d models on the same %d items (SHA-256 of the items %.16s…).\n\n## Models\n\n",
		markdownText(r.Benchmark), len(r.Models), r.Items, markdownText(r.ItemsHash))
	if err := r.Table(&out, FormatMarkdown); err != nil {
		return err
	}
	out.WriteString("\n## What was found\n\n")
	for _, metricName := range r.Options.Metrics {
		for _, sentence := range r.found(metricName, markdownText) {
			fmt.Fprintf(&out, "- %s\n", sentence)
		}
	}
	for _, sentence := range r.gaps(markdownText) {
		fmt.Fprintf(&out, "- %s\n", sentence)
	}
	if rows := r.comparisonTable(); len(rows) > 1 {
		fmt.Fprintf(&out, "\n## Comparisons\n\n%s\n", FormatMarkdown.render(3, rows))
	}
	if rows := r.sourceTable(); len(rows) > 1 {
		fmt.Fprintf(&out, "\n## Sources\n\n%s\n", FormatMarkdown.render(3, rows))
	}
	if rows := r.dataTable(); len(rows) > 1 {
		fmt.Fprintf(&out, "\n## Data\n\n%s\n", FormatMarkdown.render(2, rows))
	}
	if rows := r.answersTable(); len(rows) > 1 {
		fmt.Fprintf(&out, "\n## Teachers' answers\n\n%s\n", FormatMarkdown.render(2, rows))
	}
	if rows := r.timingTable(); len(rows) > 1 {
		fmt.Fprintf(&out, "\n## Time\n\n%s\n", FormatMarkdown.render(2, rows))
	}
	fmt.Fprintf(&out, "\n## How to read this\n\n%s\n", r.notes())
	_, err := w.Write(out.Bytes())
	return err
}

// comparisonTable is one line per paired comparison.
func (r *Report) comparisonTable() []table.Row {
	rows := []table.Row{{"model", "against", "metric", "difference", "only model right",
		"only other right", "same answer", "test", "p", "p corrected"}}
	for _, model := range r.Models {
		for _, m := range model.Metrics {
			for i := range m.Comparisons {
				c := &m.Comparisons[i]
				row := table.Row{markdownText(model.Name), markdownText(c.Against), m.Name, r.difference(m.Name, c)}
				if c.Pairs != nil && c.Agreement != nil {
					row = append(row, c.Pairs.OnlyModel, c.Pairs.OnlyOther, fmt.Sprintf("%.1f %%", 100**c.Agreement))
				} else {
					row = append(row, "", "", "")
				}
				if c.P != nil && c.PHolm != nil {
					row = append(row, markdownText(c.Test), pValue(*c.P), pValue(*c.PHolm))
				} else {
					row = append(row, "none", "", "")
				}
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// sourceTable says where the models and the figures of others come from.
func (r *Report) sourceTable() []table.Row {
	rows := []table.Row{{"model", "format", "artifact or source", "parameters", "file size"}}
	for _, m := range r.Models {
		if m.Format != "" || m.Artifact != "" || m.Parameters != 0 || m.FileBytes != 0 {
			rows = append(rows, table.Row{markdownText(m.Name), markdownText(m.Format), markdownText(m.Artifact),
				orEmpty(m.Parameters, grouped), orEmpty(m.FileBytes, byteSize)})
		}
	}
	for _, e := range r.External {
		rows = append(rows, table.Row{markdownText(e.Name), "", markdownText(e.Source), "", ""})
	}
	return rows
}

func (r *Report) timingTable() []table.Row {
	rows := []table.Row{{"model", "asked for", "seconds", "items/s", "prompt tokens", "generated tokens", "tokens/s"}}
	for _, m := range r.Timing.Models {
		for _, p := range m.Passes {
			rows = append(rows, table.Row{markdownText(m.Name), markdownText(p.Pass), fmt.Sprintf("%.2f", p.Seconds),
				fmt.Sprintf("%.1f", p.ItemsPerSecond), orEmpty(int64(p.PromptTokens), grouped),
				orEmpty(int64(p.GeneratedTokens), grouped), r.speed(m.Name, pass(p.Pass))})
		}
	}
	return rows
}

func (r *Report) notes() string {
	return fmt.Sprintf(`Intervals hold %s confidence: Wilson's score interval for shares of right items,
Newcombe's for paired differences of such shares, otherwise the percentiles of one paired bootstrap over the
items (%d resamples, seed %d). Tests are two-sided: exact McNemar on the items that only one of two models has
right, otherwise the bootstrap. Corrected p-values follow Holm over all tests of the same metric. A test that
finds no significant difference does not show that there is none: read the interval of the difference.
Tokens per second are prompt tokens read (choices, responses) or tokens written (generate) per second of the
whole pass. Clocks differ from run to run, so this file does; report.json and items.parquet do not.`,
		r.confidence(), r.Options.Resamples, r.Options.Seed)
}
