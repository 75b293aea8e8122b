package eval

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/retort-ml/retort/datasets"
)

// Subject is a model under evaluation, seen as text in, scores and text out. Evaluate
// calls its methods one at a time, and owns what they return. Equal arguments must give
// equal answers, however the items are cut into batches. A method that a Subject cannot
// offer returns an error that is errors.ErrUnsupported; the report then says that the
// metrics which need it were not measured, and why.
type Subject interface {
	// ScoreChoices returns the log-likelihood in nats (B,C) of each choice as the whole
	// continuation of each prompt, and how many tokens each choice has (C).
	ScoreChoices(ctx context.Context, prompts []datasets.Question, choices []string) (nats [][]float64, tokens []int, err error)
	// Generate answers each prompt greedily with at most maxTokens tokens (B).
	Generate(ctx context.Context, prompts []datasets.Question, maxTokens int) ([]Generation, error)
	// ScoreResponses scores each given response as the continuation of its prompt (B).
	ScoreResponses(ctx context.Context, prompts []datasets.Question, responses []string) ([]Scored, error)
	// CountTokens returns the number of tokens of each prompt (B) as the model reads it.
	// It is not timed; tokens per second are computed from it.
	CountTokens(ctx context.Context, prompts []datasets.Question) ([]int, error)
}

// Generation is an answer that a Subject generated.
type Generation struct {
	Text   string
	Tokens int    // generated tokens
	Finish string // why it ended: FinishStop, FinishLength or a server's own word
}

// Reasons why a generation ended.
const (
	FinishStop   = "stop"   // the model ended its answer
	FinishLength = "length" // the answer was cut at the allowed number of tokens
)

// Scored is the log-likelihood of one response.
type Scored struct {
	Nats   float64 // sum over the tokens, at most 0
	Tokens int     // at least 1
}

// Role says what a model is in a report, and with it what it is compared with.
type Role string

// The roles. A report has at most one teacher and one base student.
const (
	RoleTeacher   Role = "teacher"   // what the others are measured by
	RoleBase      Role = "base"      // the student before tuning
	RoleStudent   Role = "student"   // a tuned student; also compared with base and baselines
	RoleQuantized Role = "quantized" // a student in fewer bits; also compared with base
	RoleBaseline  Role = "baseline"  // a trivial model, to know what the task is worth
	RoleOther     Role = "other"     // also compared with base
)

// Identity is what a report says about a model apart from its measurements.
type Identity struct {
	Name       string `json:"name"`                 // unique in the report
	Role       Role   `json:"role"`                 //
	Reference  string `json:"reference,omitempty"`  // name of the model it was made from and is compared with
	Artifact   string `json:"artifact,omitempty"`   // id of the artifact it was read from
	Parameters int64  `json:"parameters,omitempty"` // trained numbers; 0 when unknown
	FileBytes  int64  `json:"file_bytes,omitempty"` // size of its files; 0 when unknown
	Format     string `json:"format,omitempty"`     // such as "safetensors F32" or "gguf Q8_0"
	// Hashes of the tokenizer and of the chat template that prompts were written
	// with; no template means plain text.
	Tokenizer    string `json:"tokenizer,omitempty"`
	ChatTemplate string `json:"chat_template,omitempty"`
}

// NamedSubject is a Subject with what the report says about it.
type NamedSubject struct {
	Identity
	Subject Subject
}

// maxName bounds names in tables, in characters.
const maxName = 200

// checkIdentities returns every fault of the models of a report, joined.
func checkIdentities(models []Identity) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	names := map[string]bool{}
	roles := map[Role]string{}
	for i, m := range models {
		switch {
		case m.Name == "":
			fault("model %d has no name", i+1)
		case utf8.RuneCountInString(m.Name) > maxName:
			fault("model %d: its name has more than %d characters", i+1, maxName)
		case !utf8.ValidString(m.Name):
			fault("model %q: its name is not valid UTF-8", m.Name)
		case names[m.Name]:
			fault("two models are named %q", m.Name)
		}
		names[m.Name] = true
		switch m.Role {
		case RoleTeacher, RoleBase:
			if first, taken := roles[m.Role]; taken {
				fault("models %q and %q both have the role %s; a report has one", first, m.Name, m.Role)
			}
			roles[m.Role] = m.Name
		case RoleStudent, RoleQuantized, RoleBaseline, RoleOther:
		default:
			fault("model %q: unknown role %q", m.Name, m.Role)
		}
	}
	for _, m := range models {
		if m.Reference != "" && (!names[m.Reference] || m.Reference == m.Name) {
			fault("model %q: its reference %q is not another model of the report", m.Name, m.Reference)
		}
	}
	return errors.Join(faults...)
}
