package eval

import (
	"fmt"
	"io"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Format is a form that a table can be rendered in.
type Format string

// The formats of Table.
const (
	FormatText     Format = "text"     // lines and columns for a terminal
	FormatMarkdown Format = "markdown" // GitHub's tables
)

// Table writes the report's tables: one per metric, the first asked for first, with
// interval, retention, uncorrected p-values, size and speed of each model. It returns an error when w
// does or when the format is unknown.
func (r *Report) Table(w io.Writer, format Format) error {
	if format != FormatText && format != FormatMarkdown {
		return fmt.Errorf("unknown table format %q: want %s or %s", format, FormatText, FormatMarkdown)
	}
	for i, name := range r.Options.Metrics {
		m, err := metricNamed(name)
		if err != nil {
			return err
		}
		head := fmt.Sprintf("%s: %s (%d items)", format.escape(r.Benchmark), m.name, r.Items)
		if format == FormatMarkdown {
			head = "### " + head + "\n"
		}
		if i > 0 {
			head = "\n" + head
		}
		if _, err := fmt.Fprintf(w, "%s\n%s\n", head, format.render(2, r.metricTable(m, format))); err != nil {
			return err
		}
	}
	return nil
}

func (f Format) escape(text string) string {
	if f == FormatMarkdown {
		return markdownText(text)
	}
	return visible(text)
}

// render draws rows, the first of which is the head; the first columns are texts, the
// others numbers and aligned to the right. Columns without an entry are left out.
func (f Format) render(texts int, rows []table.Row) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	var columns []table.ColumnConfig
	for i := texts + 1; i <= len(rows[0]); i++ {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	t.SuppressEmptyColumns()
	t.AppendHeader(rows[0])
	t.AppendRows(rows[1:])
	if f == FormatMarkdown {
		return t.RenderMarkdown()
	}
	return t.Render()
}

// metricTable is one line per model and per figure of others for one metric.
func (r *Report) metricTable(m metric, f Format) []table.Row {
	rows := []table.Row{{"model", "role", m.name, r.confidence() + " interval", "of teacher",
		"p vs teacher", "p vs source", "file size", "tokens/s"}}
	for i := range r.Models {
		model := &r.Models[i]
		row := table.Row{f.escape(model.Name), string(model.Role), "not measured", "", "", "", ""}
		if got, ok := model.metric(m.name); ok {
			row = table.Row{f.escape(model.Name), string(model.Role), m.format(got.Value), m.interval(got.Interval),
				got.Retention.String(), got.p(r.withRole(RoleTeacher)), got.p(model.Reference)}
		}
		rows = append(rows, append(row, orEmpty(model.FileBytes, byteSize), r.speed(model.Name, m.pass)))
	}
	for _, e := range r.External {
		if e.Metric == m.name {
			rows = append(rows, table.Row{f.escape(e.Name), "external", m.format(e.Value), "", "", "", "", "", ""})
		}
	}
	return rows
}

func (r *Report) confidence() string {
	return strconv.FormatFloat(100*r.Options.Confidence, 'g', 4, 64) + " %"
}

func (r *Report) speed(model string, p pass) string {
	t, ok := r.Timing.of(model, p)
	if !ok || t.TokensPerSecond == 0 {
		return ""
	}
	return grouped(int64(t.TokensPerSecond + 0.5))
}

// interval writes the limits of a value of the metric.
func (m metric) interval(iv *Interval) string {
	if iv == nil {
		return ""
	}
	if m.share {
		return fmt.Sprintf("%.1f to %.1f %%", 100*iv.Low, 100*iv.High)
	}
	return fmt.Sprintf("%.4g to %.4g", iv.Low, iv.High)
}

// String writes the share that is kept and its interval, in percent.
func (r *Retention) String() string {
	switch {
	case r == nil:
		return ""
	case r.Value == nil:
		return "undefined"
	case r.Interval == nil:
		return fmt.Sprintf("%.1f %%", 100**r.Value)
	}
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100**r.Value, 100*r.Interval.Low, 100*r.Interval.High)
}

// p writes the uncorrected p-value of the comparison with a model, if there is one.
func (m *Metric) p(against string) string {
	c, ok := m.against(against)
	if !ok || c.P == nil {
		return ""
	}
	return pValue(*c.P)
}
