package eval

import "strings"

// Row is one line of items.parquet: one item as one model answered it. Columns of a pass
// that was not asked for are null.
type Row struct {
	Item      int64  `parquet:"item"` // position in the evaluated items, from 0; with model the key
	ItemID    string `parquet:"item_id"`
	Prompt    string `parquet:"prompt"`
	Reference string `parquet:"reference"`
	Model     string `parquet:"model"`

	Prediction      *string  `parquet:"prediction,optional"`       // most likely choice
	Correct         *bool    `parquet:"correct,optional"`          // prediction = reference
	ReferenceNats   *float64 `parquet:"reference_nats,optional"`   // log-likelihood of the reference: among the choices, else by itself
	ReferenceTokens *int64   `parquet:"reference_tokens,optional"` // tokens that ReferenceNats sums
	MarginNats      *float64 `parquet:"margin_nats,optional"`      // reference_nats minus the highest of the other choices
	Probability     *float64 `parquet:"probability,optional"`      // of the prediction among the choices

	Generated        *string `parquet:"generated,optional"` // greedy answer
	GeneratedCorrect *bool   `parquet:"generated_correct,optional"`
	Finish           *string `parquet:"finish,optional"` // why the answer ended
}

// rows lists the items as one model answered them.
func (b *benchmark) rows(model string, a *answers) []Row {
	rows := make([]Row, len(b.items))
	for i, item := range b.items {
		row := Row{Item: int64(i), ItemID: item.ID, Prompt: item.Prompt, Reference: item.Response, Model: model}
		if r := a.responses; r != nil {
			nats, tokens := 0-r.nats[i], int64(r.tokens[i])
			row.ReferenceNats, row.ReferenceTokens = &nats, &tokens
		}
		if c := a.choices; c != nil {
			prediction, correct := b.labels[c.best[i]], c.best[i] == b.truth[i]
			tokens := int64(c.referenceTokens[i])
			row.Prediction, row.Correct = &prediction, &correct
			row.ReferenceNats, row.ReferenceTokens = &c.referenceNats[i], &tokens
			row.MarginNats, row.Probability = &c.margin[i], &c.probability[i]
		}
		if g := a.generated; g != nil {
			text := strings.ToValidUTF8(g.text[i], "\uFFFD") // readers of Parquet refuse others
			row.Generated, row.GeneratedCorrect, row.Finish = &text, &g.right[i], &g.finish[i]
		}
		rows[i] = row
	}
	return rows
}
