package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/retort-ml/retort/datasets"
)

// PreviewOptions choose what Preview shows.
type PreviewOptions struct {
	Stage string  // a train or tokens stage; "" means the only one there is, or the last train stage
	Valid bool    // its validation data instead of what it learns
	Rows  int     // examples to show
	Seed  *uint64 // which: a random choice of this seed; nil means the first ones
}

// Preview is what a train stage would learn.
type Preview struct {
	Stage        string                   `json:"stage"`
	On           string                   `json:"on"`
	Student      string                   `json:"student,omitempty"`
	Tokenizer    string                   `json:"tokenizer"`               // hash
	ChatTemplate string                   `json:"chat_template,omitempty"` // hash
	Policy       PreviewPolicy            `json:"policy"`
	Counts       datasets.EncodeCounts    `json:"counts"`
	Statistics   datasets.TokenStatistics `json:"statistics"`
	Packing      *PreviewPacking          `json:"packing,omitempty"` // not of a tokens stage
	Examples     []PreviewExample         `json:"examples"`
}

// PreviewPolicy says what is learned of an example.
type PreviewPolicy struct {
	Learn          string             `json:"learn"` // last, all, or prompts
	TooLong        string             `json:"too_long"`
	NothingLearned string             `json:"nothing_learned"`
	Length         int                `json:"length"`  // of the longest example, in tokens
	Weights        map[string]float64 `json:"weights"` // of a token's loss: learned, other
}

// PreviewPacking is how an epoch is laid out.
type PreviewPacking struct {
	Rows    int     `json:"rows"`   // of a batch
	Length  int     `json:"length"` // tokens of a row
	Fill    float64 `json:"fill"`   // share of the places that have tokens
	Batches int     `json:"batches"`
	Steps   int     `json:"steps"` // of an epoch
}

// PreviewExample is an example as the student sees it.
type PreviewExample struct {
	ID      string        `json:"id"`
	File    string        `json:"file"`
	Row     int           `json:"row"`
	Tokens  int           `json:"tokens"`
	Prompt  int           `json:"prompt_tokens"` // before the response, or the last turn
	Learned int           `json:"learned_tokens"`
	Cut     bool          `json:"cut,omitempty"`
	Parts   []PreviewPart `json:"parts"`
}

// PreviewPart is tokens of an example that are all learned, or all not.
type PreviewPart struct {
	Text    string  `json:"text"` // as decoded
	Learned bool    `json:"learned"`
	IDs     []int32 `json:"ids"`
}

// Preview encodes what a stage would learn, as it would, from the recipe's files
// or from artifacts that are there; made finds these. It runs no stage: what is
// missing is an error that says what to run first. Examples of which nothing is
// learned are counted and named, whatever the stage says of them.
func (r *Recipe) Preview(ctx context.Context, made func(stage string) string, o PreviewOptions) (*Preview, error) {
	subject, err := r.previewed(o)
	if err != nil {
		return nil, err
	}
	l, err := r.reader(subject.student, subject.tokenizer, made)
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", subject.stage, err)
	}
	temporary, err := os.MkdirTemp("", "retort-show-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	var p *Preview
	examples, err := r.previewExamples(ctx, made, subject, l, temporary)
	if err == nil {
		p, err = subject.preview(ctx, l, examples, o, r.Seed)
	}
	if err != nil {
		return nil, fmt.Errorf("stage %s: %s: %w", subject.stage, subject.on, err)
	}
	return p, nil
}

// previewed is what a stage encodes.
type previewed struct {
	stage, student, tokenizer, on string
	learning                      learning
	length                        int
	promptsOnly                   bool
	train                         *trainStage // nil of a tokens stage
}

func (r *Recipe) previewed(o PreviewOptions) (previewed, error) {
	name, err := r.previewStage(o.Stage)
	if err != nil {
		return previewed{}, err
	}
	switch s := r.find(name).(type) {
	case *tokensStage:
		if o.Valid {
			return previewed{}, fmt.Errorf("stage %s is a tokens stage: it has no validation data", name)
		}
		return previewed{name, s.Student, s.Tokenizer, s.On, s.learning, s.length(), s.PromptsOnly, nil}, nil
	case *trainStage:
		on := s.On
		if o.Valid {
			if on = s.Valid; on == "" {
				return previewed{}, fmt.Errorf("stage %s has no validation data", name)
			}
		}
		p := previewed{name, s.Student, s.Tokenizer, on, s.learning, s.length(), s.PromptsOnly, s}
		if t, ok := r.find(on).(*tokensStage); ok {
			p.on, p.learning, p.length = t.On, t.learning, t.length()
		}
		return p, nil
	}
	return previewed{}, fmt.Errorf("stage %s is of the kind %s: want a train or tokens stage", name, kindOf(r.find(name)))
}

// previewStage is the stage of that name, or the one meant if none is named.
func (r *Recipe) previewStage(name string) (string, error) {
	if name != "" {
		if !r.HasStage(name) {
			return "", fmt.Errorf("the recipe has no stage %s", name)
		}
		return name, nil
	}
	for _, s := range slices.Backward(r.stages) {
		if _, ok := s.spec.(*trainStage); ok {
			return s.name, nil
		}
	}
	for _, s := range slices.Backward(r.stages) {
		if _, ok := s.spec.(*tokensStage); ok {
			return s.name, nil
		}
	}
	return "", errors.New("the recipe has no train or tokens stage")
}
