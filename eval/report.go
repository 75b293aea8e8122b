package eval

// Schema is the version of report.json and timing.json.
const Schema = 1

// Report is what Evaluate found. Its JSON form is report.json and holds no clock.
type Report struct {
	Schema    int        `json:"schema"`
	Benchmark string     `json:"benchmark"`
	Items     int        `json:"items"`
	ItemsHash string     `json:"items_sha256"` // over ID, prompt and response of the items in order
	Options   Options    `json:"options"`      // as resolved
	Models    []Model    `json:"models"`       // in the order given
	External  []External `json:"external,omitempty"`
	Data      []DataNote `json:"data,omitempty"` // of the datasets behind it; whoever runs Evaluate adds them

	Timing Timing `json:"-"` // timing.json
	Rows   []Row  `json:"-"` // items.parquet, model by model; not read back by ReadReport
}

// Model is one model's part of a Report.
type Model struct {
	Identity
	Metrics []Metric  `json:"metrics"`           // in the order of Options.Metrics
	Missing []Missing `json:"missing,omitempty"` // metrics that could not be measured
	Cut     int       `json:"cut,omitempty"`     // generated answers that ended at max_new_tokens
}

// Missing is a metric that was asked for and not measured.
type Missing struct {
	Metric string `json:"metric"`
	Reason string `json:"reason"`
}

// Metric is one measured number of one model.
type Metric struct {
	Name        string       `json:"name"`
	Value       float64      `json:"value"`
	Interval    *Interval    `json:"interval"`              // nil for ece and for a single item
	Ties        int          `json:"ties,omitempty"`        // items whose answer was the first among equally likely choices
	Retention   *Retention   `json:"retention,omitempty"`   // for metrics where higher is better, when there is a teacher
	Comparisons []Comparison `json:"comparisons,omitempty"` // teacher first
}

// Retention is a model's value as a share of the teacher's.
type Retention struct {
	Value     *float64  `json:"value"`               // nil when undefined
	Interval  *Interval `json:"interval"`            // nil when undefined, see Undefined
	Undefined string    `json:"undefined,omitempty"` // why a part is nil
}

// Comparison is a paired comparison of a model with another on the same items.
type Comparison struct {
	Against    string    `json:"against"`             // name of the other model
	Difference float64   `json:"difference"`          // the model's value minus the other's
	Interval   *Interval `json:"interval"`            // of the difference
	Pairs      *Pairs    `json:"pairs,omitempty"`     // for shares of right items
	Agreement  *float64  `json:"agreement,omitempty"` // share of items with equal answers, right or wrong
	Test       string    `json:"test,omitempty"`      // MethodMcNemar, MethodBootstrap, or empty when none is sound
	P          *float64  `json:"p,omitempty"`         // two-sided
	PHolm      *float64  `json:"p_holm,omitempty"`    // corrected by Holm for all tests of the metric in the report
}

// model returns the named model.
func (r *Report) model(name string) (*Model, bool) {
	for i := range r.Models {
		if r.Models[i].Name == name {
			return &r.Models[i], true
		}
	}
	return nil, false
}

// withRole returns the name of the only model of a role, empty when there is none.
func (r *Report) withRole(role Role) string {
	for _, m := range r.Models {
		if m.Role == role {
			return m.Name
		}
	}
	return ""
}

// metric returns the named metric of the model.
func (m *Model) metric(name string) (*Metric, bool) {
	for i := range m.Metrics {
		if m.Metrics[i].Name == name {
			return &m.Metrics[i], true
		}
	}
	return nil, false
}

// against returns the comparison with the named model.
func (m *Metric) against(name string) (*Comparison, bool) {
	for i := range m.Comparisons {
		if m.Comparisons[i].Against == name {
			return &m.Comparisons[i], true
		}
	}
	return nil, false
}
