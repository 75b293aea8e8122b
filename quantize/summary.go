package quantize

// Summary says what a file holds and what was lost in it. The same model and
// options give the same Summary.
type Summary struct {
	Type          string  `json:"type"` // of most matrices, as asked for
	Pure          bool    `json:"pure"`
	FileBytes     int64   `json:"file_bytes"`
	Parameters    int64   `json:"parameters"`      // values of all tensors
	BitsPerWeight float64 `json:"bits_per_weight"` // of the tensors, without metadata and alignment
	RMSE          float64 `json:"rmse"`            // over all values
	MaxAbsError   float64 `json:"max_abs_error"`
	// SQNR is Σx²/Σ(x'−x)² over all values, in decibels; null when nothing was lost.
	SQNR    *float64        `json:"sqnr_db"`
	Tensors []TensorSummary `json:"tensors"` // in the file's order
	Notes   []string        `json:"notes"`   // where the file departs from what was asked for, and why
}

// TensorSummary is one tensor's part of a Summary.
type TensorSummary struct {
	Name        string   `json:"name"` // llama.cpp's
	Type        string   `json:"type"`
	Rows        int      `json:"rows"` // 1 of a vector
	Columns     int      `json:"columns"`
	Bytes       int64    `json:"bytes"`
	RMSE        float64  `json:"rmse"` // relative to the model's own weights
	MaxAbsError float64  `json:"max_abs_error"`
	SQNR        *float64 `json:"sqnr_db"` // null when nothing was lost
}

// summarize turns the losses of written tensors into a Summary.
func summarize(o Options, p *plan, fileBytes int64) Summary {
	s := Summary{Type: o.Type, Pure: o.Pure, FileBytes: fileBytes, Notes: p.notes}
	var total loss
	var bytes int64
	for _, t := range p.tensors {
		size := int64(t.rows) * int64(t.format.RowBytes(t.cols))
		s.Tensors = append(s.Tensors, TensorSummary{
			Name: t.name, Type: t.format.String(), Rows: t.rows, Columns: t.cols, Bytes: size,
			RMSE: t.lost.rmse(), MaxAbsError: t.lost.largest, SQNR: t.lost.sqnr(),
		})
		total.add(t.lost)
		bytes += size
	}
	s.Parameters = total.values
	s.BitsPerWeight = 8 * float64(bytes) / float64(total.values)
	s.RMSE, s.MaxAbsError, s.SQNR = total.rmse(), total.largest, total.sqnr()
	return s
}
