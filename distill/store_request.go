package distill

import (
	"encoding/json"
	"fmt"

	"github.com/retort-ml/retort/internal/model"
)

// describe is a request's settings for people to read.
func describe(r Request) (string, error) {
	text, err := json.Marshal(settingsOf(r))
	return string(text), err
}

// settings is what a request asks for besides the question.
type settings struct {
	MaxTokens   int     `json:"max_tokens"`
	TopK        int     `json:"top_k"`
	Temperature float64 `json:"temperature"`
	SampleTopK  int     `json:"sample_top_k"`
	SampleTopP  float64 `json:"sample_top_p"`
	MinP        float64 `json:"min_p,omitempty"`
	Repetition  float64 `json:"repetition_penalty,omitempty"`
	Seed        uint64  `json:"seed"`
}

func settingsOf(r Request) settings {
	r = r.canonical()
	return settings{MaxTokens: r.MaxTokens, TopK: r.TopK, Temperature: r.Sampling.Temperature,
		SampleTopK: r.Sampling.TopK, SampleTopP: r.Sampling.TopP,
		MinP: r.Sampling.MinP, Repetition: r.Sampling.RepetitionPenalty, Seed: r.Seed}
}

// apply sets what text, a description, says.
func (r *Request) apply(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return fmt.Errorf("its settings: %w", err)
	}
	r.MaxTokens, r.TopK, r.Seed = s.MaxTokens, s.TopK, s.Seed
	r.Sampling = model.Sampling{Temperature: s.Temperature, TopK: s.SampleTopK, TopP: s.SampleTopP, MinP: s.MinP, RepetitionPenalty: s.Repetition}
	return nil
}
