package eval

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
)

// DataNote says what became of the rows of a dataset, such as how many were
// duplicates. The report's items are from such a dataset, and so is what its
// models have learned.
type DataNote struct {
	Stage  string      `json:"stage"` // that made the dataset
	Counts []DataCount `json:"counts"`
}

// DataCount is one number of a DataNote.
type DataCount struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
}

// AnswersNote is how a stage came to its teacher's answers, and for how much.
// Money is in US dollars.
type AnswersNote struct {
	Stage   string  `json:"stage"`
	Teacher string  `json:"teacher"`
	Answers int     `json:"answers"`
	Cached  int     `json:"cached"` // were in the answer store
	Fresh   int     `json:"fresh"`  // asked for one by one
	Batch   int     `json:"batch"`  // through a batch API
	Retries int     `json:"retries"`
	Saved   float64 `json:"saved_usd"` // what the cached ones cost when they were asked for
	Fees    float64 `json:"fresh_usd"`
	Batched float64 `json:"batch_usd"`
	Retried float64 `json:"retries_usd"`
}

func (r *Report) dataTable() []table.Row {
	rows := []table.Row{{"dataset", "rows", "count"}}
	for _, n := range r.Data {
		for _, c := range n.Counts {
			rows = append(rows, table.Row{markdownText(n.Stage), markdownText(c.What), grouped(c.Count)})
		}
	}
	return rows
}

func (r *Report) answersTable() []table.Row {
	rows := []table.Row{{"answers", "teacher", "all", "cached", "fresh", "batch", "retries", "saved", "fresh cost", "batch cost", "retry cost"}}
	usd := func(v float64) string { return fmt.Sprintf("$%.4f", v) }
	for _, n := range r.Timing.Answers {
		rows = append(rows, table.Row{markdownText(n.Stage), markdownText(n.Teacher), n.Answers, n.Cached, n.Fresh, n.Batch, n.Retries,
			usd(n.Saved), usd(n.Fees), usd(n.Batched), usd(n.Retried)})
	}
	return rows
}
