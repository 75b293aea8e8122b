package distill

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/model"
)

const (
	answersFile = "answers.parquet"
	topArrow    = "topk.arrow"
)

// Row is one answer of an artifact: a row of answers.parquet. Clocks and
// latencies stay in the store, so that the same answers are the same bytes.
type Row struct {
	ID     string `parquet:"id"`     // of the example
	Sample int32  `parquet:"sample"` // from 0, of the answers to one prompt
	// Weight is the answer's share in the loss of its prompt: above 0.
	Weight float32 `parquet:"weight"`
	// Target says what the answer teaches: empty the answer itself, else TargetLabel
	// or TargetRationale.
	Target          string            `parquet:"target"`
	Prompt          string            `parquet:"prompt"`
	Messages        string            `parquet:"messages"` // JSON, as in datasets.Question
	Tools           string            `parquet:"tools"`    // JSON, as in datasets.Question
	Answer          string            `parquet:"answer"`
	Reasoning       string            `parquet:"reasoning"`
	ToolCalls       string            `parquet:"tool_calls"`  // JSON array
	Tokens          []int32           `parquet:"tokens,list"` // the teacher's ids, with the end token
	Finish          string            `parquet:"finish"`
	RequestHash     string            `parquet:"request_hash"` // Key in hexadecimal
	Model           string            `parquet:"model"`        // as a server names what answered
	PromptTokens    int32             `parquet:"prompt_tokens"`
	AnswerTokens    int32             `parquet:"answer_tokens"`    // of Tokens, where there are any
	ReasoningTokens int32             `parquet:"reasoning_tokens"` // of the answer's
	Pieces          []byte            `parquet:"pieces,optional"`  // tokens by their bytes, as TokenPieces reads them; none of teachers that tell ids alone
	Top             []model.TopTokens `parquet:"-"`                // per token; topk.arrow holds it
}

// What Row.Target may say, in distilling step by step.
const (
	TargetLabel     = "label"
	TargetRationale = "rationale"
)

// NewRow is the row of example id, answered by the teacher of that identity. It
// weighs 1.
func NewRow(id, teacher string, r Request, a Answer) Row {
	tokens := len(a.Tokens)
	if tokens == 0 {
		tokens = a.AnswerTokens
	}
	var pieces []byte
	if len(a.Pieces) > 0 {
		pieces = appendPieces(nil, a.Pieces)
	}
	return Row{ID: id, Sample: int32(r.Sample), Weight: 1, Pieces: pieces, Prompt: r.Prompt, Messages: r.Messages, Tools: r.Tools,
		Answer: a.Text, Reasoning: a.Reasoning, ToolCalls: a.ToolCalls, Model: a.Model, Tokens: a.Tokens, Finish: a.Finish, RequestHash: r.Key(teacher).String(),
		PromptTokens: int32(a.PromptTokens), AnswerTokens: int32(tokens), ReasoningTokens: int32(a.ReasoningTokens), Top: a.Top}
}

// Info says where answers come from.
type Info struct {
	Teacher   string `json:"teacher"`             // Identity
	Tokenizer string `json:"tokenizer,omitempty"` // hash of the tokenizer of the tokens
	// How prompts were written (datasets.Prompting), and the hash of the chat
	// template; empty for plain text.
	Prompting    string         `json:"prompting,omitempty"`
	ChatTemplate string         `json:"chat_template,omitempty"`
	TopK         int            `json:"top_k"`      // alternatives per token; 0 means none are kept
	Vocabulary   int            `json:"vocabulary"` // of the alternatives, whose ids are below; 0 if it is not known
	MaxTokens    int            `json:"max_tokens"`
	Sampling     model.Sampling `json:"sampling"`
	Seed         uint64         `json:"seed"`
}

// Counts are sums over the rows.
type Counts struct {
	Answers      int            `json:"answers"`
	Finish       map[string]int `json:"finish"` // answers by how they ended
	PromptTokens int            `json:"prompt_tokens"`
	AnswerTokens int            `json:"answer_tokens"`
}

// add counts r, whose sums must be right.
func (c *Counts) add(r *Row) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("row %d (%s): %w", c.Answers, r.ID, err)
	}
	c.Answers++
	c.Finish[r.Finish]++
	c.PromptTokens += int(r.PromptTokens)
	c.AnswerTokens += int(r.AnswerTokens)
	return nil
}

// check tells what is wrong with the row, but for its alternatives.
func (r *Row) check() error {
	switch {
	case len(r.Tokens) > 0 && int(r.AnswerTokens) != len(r.Tokens):
		return fmt.Errorf("%d answer tokens and a list of %d", r.AnswerTokens, len(r.Tokens))
	case r.Finish == "" || r.PromptTokens < 0 || r.AnswerTokens < 0 || r.ReasoningTokens < 0:
		return fmt.Errorf("finish %q, %d prompt tokens, %d answer tokens, %d of reasoning", r.Finish, r.PromptTokens, r.AnswerTokens, r.ReasoningTokens)
	case !(r.Weight > 0 && r.Weight <= math.MaxFloat32):
		return fmt.Errorf("weight %v: want a number above 0", r.Weight)
	case r.Sample < 0:
		return fmt.Errorf("sample %d: want 0 or more", r.Sample)
	case r.Target != "" && r.Target != TargetLabel && r.Target != TargetRationale:
		return fmt.Errorf("target %q: want none, %q or %q", r.Target, TargetLabel, TargetRationale)
	}
	return nil
}

// bytes is about how much memory the row takes in a row group.
func (r *Row) bytes() int {
	n := 4*len(r.Tokens) + 128
	for _, s := range []string{r.ID, r.Target, r.Prompt, r.Messages, r.Tools, r.Answer, r.Reasoning, r.ToolCalls, r.Finish, r.RequestHash, r.Model} {
		n += len(s)
	}
	return n
}
