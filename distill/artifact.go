package distill

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/model"
)

const (
	answersFile     = "answers.parquet"
	topFile         = "topk.arrow"
	descriptionFile = "answers.json"

	descriptionFormat   = 1
	maxDescriptionBytes = 1 << 20
)

// Row is one answer of an artifact: a row of answers.parquet. Clocks and
// latencies stay in the store, so that the same answers are the same bytes.
type Row struct {
	ID           string            `parquet:"id"` // of the example
	Prompt       string            `parquet:"prompt"`
	Answer       string            `parquet:"answer"`
	Tokens       []int32           `parquet:"tokens,list"` // the teacher's ids, with the end token
	Finish       string            `parquet:"finish"`
	RequestHash  string            `parquet:"request_hash"` // Key in hexadecimal
	PromptTokens int32             `parquet:"prompt_tokens"`
	AnswerTokens int32             `parquet:"answer_tokens"`
	Top          []model.TopTokens `parquet:"-"` // per token; topk.arrow holds it
}

// NewRow is the row of example id, answered by the teacher of that identity.
func NewRow(id, teacher string, r Request, a Answer) Row {
	return Row{ID: id, Prompt: r.Prompt, Answer: a.Text, Tokens: a.Tokens, Finish: a.Finish, RequestHash: r.Key(teacher).String(),
		PromptTokens: int32(a.PromptTokens), AnswerTokens: int32(len(a.Tokens)), Top: a.Top}
}

// Info says where answers come from.
type Info struct {
	Teacher   string         `json:"teacher"`             // Identity
	Tokenizer string         `json:"tokenizer,omitempty"` // hash of the tokenizer of the tokens
	TopK      int            `json:"top_k"`               // alternatives per token; 0 means none are kept
	MaxTokens int            `json:"max_tokens"`
	Sampling  model.Sampling `json:"sampling"`
	Seed      uint64         `json:"seed"`
}

// Counts are sums over the rows.
type Counts struct {
	Answers      int            `json:"answers"`
	Finish       map[string]int `json:"finish"` // answers by how they ended
	PromptTokens int            `json:"prompt_tokens"`
	AnswerTokens int            `json:"answer_tokens"`
}

// fileSum identifies a file of the artifact.
type fileSum struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// description is answers.json.
type description struct {
	Format int `json:"format"` // 1
	Info
	Counts Counts             `json:"counts"`
	Files  map[string]fileSum `json:"files"`
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
// The same rows give the same bytes. A row whose alternatives are not info.TopK
// for each of its tokens, or are no probabilities, is an error that names it.
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
		if int(r.AnswerTokens) != len(r.Tokens) {
			return c, fmt.Errorf("row %d (%s): %d answer tokens and a list of %d", i, r.ID, r.AnswerTokens, len(r.Tokens))
		}
		if r.Finish == "" || r.PromptTokens < 0 {
			return c, fmt.Errorf("row %d (%s): finish %q, %d prompt tokens", i, r.ID, r.Finish, r.PromptTokens)
		}
		c.Finish[r.Finish]++
		c.PromptTokens += int(r.PromptTokens)
		c.AnswerTokens += len(r.Tokens)
	}
	return c, nil
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

func readDescription(path string) (description, error) {
	var d description
	fail := func(err error) (description, error) { return d, fmt.Errorf("read %s: %w", path, err) }
	f, err := os.Open(path)
	if err != nil {
		return d, err // it names the file
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDescriptionBytes+1))
	if err != nil {
		return d, err
	}
	if len(text) > maxDescriptionBytes {
		return fail(fmt.Errorf("more than %d bytes", maxDescriptionBytes))
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&d); err != nil {
		return fail(err)
	}
	if in.More() {
		return fail(errors.New("something follows the JSON object"))
	}
	if d.Format != descriptionFormat {
		return fail(fmt.Errorf("format %d, want %d", d.Format, descriptionFormat))
	}
	if d.Counts.Answers < 0 || d.Counts.AnswerTokens < 0 || d.TopK < 0 || d.TopK > maxTopK {
		return fail(fmt.Errorf("%d answers of %d tokens with %d alternatives", d.Counts.Answers, d.Counts.AnswerTokens, d.TopK))
	}
	return d, nil
}

func sumFile(path string) (fileSum, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileSum{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return fileSum{}, fmt.Errorf("read %s: %w", path, err)
	}
	return fileSum{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// checkFile tells whether the file is the one that want describes.
func checkFile(path string, want fileSum) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if want.SHA256 == "" {
		return fmt.Errorf("read %s: %s does not list it", path, descriptionFile)
	}
	if info.Size() != want.Bytes {
		return fmt.Errorf("read %s: %d bytes, and %s says %d: it is damaged", path, info.Size(), descriptionFile, want.Bytes)
	}
	have, err := sumFile(path)
	if err != nil {
		return err
	}
	if have != want {
		return fmt.Errorf("read %s: SHA-256 %s, and %s says %s: it is damaged", path, have.SHA256, descriptionFile, want.SHA256)
	}
	return nil
}
