package eval

// Timing is the part of a Report that differs from run to run.
type Timing struct {
	Schema int           `json:"schema"`
	Models []ModelTiming `json:"models"` // in the order of the Report
	// Answers are the teachers' answers that the models learned from; whoever runs
	// Evaluate adds them.
	Answers []AnswersNote `json:"answers,omitempty"`
}

// ModelTiming is how long one model took.
type ModelTiming struct {
	Name   string       `json:"name"`
	Passes []PassTiming `json:"passes"`
}

// PassTiming is how long one way of asking took over all items.
type PassTiming struct {
	Pass            string  `json:"pass"` // choices, generate or responses
	Seconds         float64 `json:"seconds"`
	Items           int     `json:"items"`
	PromptTokens    int     `json:"prompt_tokens"`     // of all items; 0 when the model cannot say
	GeneratedTokens int     `json:"generated_tokens"`  // 0 unless generate
	TokensPerSecond float64 `json:"tokens_per_second"` // prompt tokens read per second of choices and responses, tokens written per second of generate; 0 when unknown
	ItemsPerSecond  float64 `json:"items_per_second"`  //
}

func (t *ModelTiming) add(p pass, seconds float64, items, promptTokens, generatedTokens int) {
	pt := PassTiming{Pass: string(p), Seconds: seconds, Items: items,
		PromptTokens: promptTokens, GeneratedTokens: generatedTokens}
	tokens := promptTokens
	if p == passGenerate {
		tokens = generatedTokens
	}
	if seconds > 0 {
		pt.TokensPerSecond = float64(tokens) / seconds
		pt.ItemsPerSecond = float64(items) / seconds
	}
	t.Passes = append(t.Passes, pt)
}

// of returns the timing of a model in a pass.
func (t Timing) of(model string, p pass) (PassTiming, bool) {
	for _, m := range t.Models {
		for _, one := range m.Passes {
			if m.Name == model && one.Pass == string(p) {
				return one, true
			}
		}
	}
	return PassTiming{}, false
}
