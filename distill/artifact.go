package distill

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/model"
)

const (
	answersFile = "answers.parquet"
	topFile     = "topk.arrow"
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
	TopK         int            `json:"top_k"` // alternatives per token; 0 means none are kept
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

// Answers is an artifact that OpenAnswers read.
type Answers struct {
	Info
	Counts Counts
	Rows   []Row // without Top: TopK has it
	dir    string
	top    fileSum // of topk.arrow, if there is one
}

// WriteAnswers writes the rows into dir, which must exist: answers.parquet,
// topk.arrow if info.TopK is not 0, and answers.json, which is written last.
// The same rows give the same bytes. A row whose alternatives are more than info.TopK
// for one of its tokens, or are no probabilities, is an error that names it.
func WriteAnswers(dir string, info Info, rows []Row) error {
	counts, err := count(rows)
	if err != nil {
		return fmt.Errorf("write answers %s: %w", dir, err)
	}
	d := description{Format: descriptionFormat, Info: info, Counts: counts, Files: map[string]fileSum{}}
	path := filepath.Join(dir, answersFile)
	if err := datasets.WriteParquet(path, rows); err != nil {
		return err
	}
	if d.Files[answersFile], err = sumFile(path); err != nil {
		return err
	}
	if info.TopK != 0 {
		if d.Files[topFile], err = writeTop(filepath.Join(dir, topFile), info.TopK, rows); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("write answers %s: %w", dir, err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, descriptionFile), append(text, '\n'))
}

// count sums up rows, and checks what the sums rest on.
func count(rows []Row) (Counts, error) {
	c := Counts{Answers: len(rows), Finish: map[string]int{}}
	for i := range rows {
		r := &rows[i]
		if err := r.check(); err != nil {
			return c, fmt.Errorf("row %d (%s): %w", i, r.ID, err)
		}
		c.Finish[r.Finish]++
		c.PromptTokens += int(r.PromptTokens)
		c.AnswerTokens += int(r.AnswerTokens)
	}
	return c, nil
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

// OpenAnswers reads an artifact that WriteAnswers wrote, but for the
// alternatives, which TopK reads. A file that is not as answers.json says is an
// error that names it.
func OpenAnswers(dir string) (*Answers, error) {
	a, err := openAnswers(dir)
	if err != nil {
		return nil, fmt.Errorf("open answers: %w", err)
	}
	return a, nil
}

func openAnswers(dir string) (*Answers, error) {
	d, err := readDescription(filepath.Join(dir, descriptionFile))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, answersFile)
	if err := checkFile(path, d.Files[answersFile]); err != nil {
		return nil, err
	}
	rows, err := datasets.ReadParquet[Row](path)
	if err != nil {
		return nil, err
	}
	counts, err := count(rows)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if counts.Answers != d.Counts.Answers || counts.AnswerTokens != d.Counts.AnswerTokens {
		return nil, fmt.Errorf("read %s: %d answers of %d tokens, and %s says %d of %d", path,
			counts.Answers, counts.AnswerTokens, descriptionFile, d.Counts.Answers, d.Counts.AnswerTokens)
	}
	return &Answers{Info: d.Info, Counts: d.Counts, Rows: rows, dir: dir, top: d.Files[topFile]}, nil
}

// AnswersWriter writes an artifact row by row.
type AnswersWriter struct {
	dir  string
	info Info
	rows []Row
}

// CreateAnswers begins an artifact in dir, which must exist.
func CreateAnswers(dir string, info Info) (*AnswersWriter, error) {
	return &AnswersWriter{dir: dir, info: info}, nil
}

// Add adds a row.
func (w *AnswersWriter) Add(r Row) error {
	w.rows = append(w.rows, r)
	return nil
}

// Finish writes the artifact.
func (w *AnswersWriter) Finish() error { return WriteAnswers(w.dir, w.info, w.rows) }

// Close gives up what was not finished.
func (w *AnswersWriter) Close() error { return nil }
