package distill

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/model"
)

// Tokenizer is what a local teacher needs to know of its tokenizer.
type Tokenizer interface {
	Encode(text string, addSpecial bool) []int32
	Decode(ids []int32, skipSpecial bool) string
	// Hash names everything that changes ids or text.
	Hash() string
}

// LocalFormat is how prompts and answers are written for a local teacher:
//
//	BOS prompt… | answer… Stop[0]
type LocalFormat struct {
	BOS    int32              // token id; -1 means none
	Writer datasets.Prompting // how texts are written; nil means as they are
	Stop   []int32            // token ids that end an answer; at least one
	Batch  int                // most answers under way at a time; 0 means 32
}

// LocalTeacher is a model on this machine.
type LocalTeacher struct {
	model     *model.Model
	decoder   *model.Decoder
	tokenizer Tokenizer
	format    LocalFormat
	identity  string
}

var _ Teacher = (*LocalTeacher)(nil)

// NewLocalTeacher makes a teacher of m, whose weights must not change. id names
// those weights by their content, such as a hash; with tokenizer and format it
// makes the teacher's identity.
func NewLocalTeacher(m *model.Model, id string, tok Tokenizer, f LocalFormat) (*LocalTeacher, error) {
	var faults []error
	inside := func(what string, token int32) {
		if token < 0 || int(token) >= m.Config.VocabSize {
			faults = append(faults, fmt.Errorf("local teacher: %s: token id %d is outside the vocabulary of %d", what, token, m.Config.VocabSize))
		}
	}
	if id == "" {
		faults = append(faults, errors.New("local teacher: the weights have no id"))
	}
	if f.BOS != -1 {
		inside("begin", f.BOS)
	}
	if len(f.Stop) == 0 {
		faults = append(faults, errors.New("local teacher: no token ends an answer"))
	}
	for _, s := range f.Stop {
		inside("stop", s)
	}
	if f.Batch < 0 {
		faults = append(faults, fmt.Errorf("local teacher: batch: %d: want 0 or more", f.Batch))
	}
	if f.Batch == 0 {
		f.Batch = 32
	}
	if f.Writer == nil {
		f.Writer = datasets.Plain{}
	}
	h := sha256.New()
	writeString(h, id)
	writeString(h, tok.Hash())
	writeString(h, f.Writer.ID())
	writeString(h, fmt.Sprint(f.BOS, f.Stop))
	return &LocalTeacher{
		model: m, decoder: model.NewDecoder(m), tokenizer: tok, format: f,
		identity: "local " + hex.EncodeToString(h.Sum(nil)),
	}, errors.Join(faults...)
}

// Identity implements Teacher.
func (t *LocalTeacher) Identity() string { return t.identity }

// TokenizerHash names the tokenizer whose ids the answers have.
func (t *LocalTeacher) TokenizerHash() string { return t.tokenizer.Hash() }
