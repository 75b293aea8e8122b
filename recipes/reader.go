package recipes

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
)

// reader is how a student reads texts: load without weights. Only its tokenizer,
// writer and tokens are of use. Of a new model, it is how the tokenizer stage of
// that name does.
func (r *Recipe) reader(student, tokenizerStage string, made madeDir) (*loaded, error) {
	if student == "" {
		return r.newReader(tokenizerStage, made)
	}
	o, err := r.outline(made, student)
	if err != nil {
		return nil, err
	}
	if o.words == "" {
		return nil, fmt.Errorf("the tokenizer of %s is yet to be made: run its stages first: retort run --target %s", student, head(student))
	}
	t, err := tokenizerAt(o.words)
	if err != nil {
		return nil, err
	}
	l := &loaded{model: o.model, tokenizer: t, path: o.words, artifact: filepath.Base(o.words), writer: datasets.Plain{}}
	if err := l.setTokens(); err != nil {
		return nil, err
	}
	chat := r.chatOf(student)
	if chat != nil && chat.Template != noTemplate && !r.isModel(o.words) { // as loadMade does
		own := *chat
		own.Template = ""
		chat = &own
	}
	return l, l.setPrompting(chat)
}

func (r *Recipe) newReader(stage string, made madeDir) (*loaded, error) {
	dir := made(stage)
	if dir == "" {
		return nil, fmt.Errorf("the tokenizer is yet to be made: run its stage first: retort run --target %s", stage)
	}
	t, err := tokenizerAt(dir)
	if err != nil {
		return nil, err
	}
	eos, ok := t.EOS()
	if !ok {
		return nil, errors.New("the tokenizer names no end token")
	}
	return &loaded{tokenizer: t, path: dir, writer: datasets.Plain{}, bos: bosOf(t), stop: []int32{eos}}, nil
}

// isModel tells whether path is of a model that no stage makes.
func (r *Recipe) isModel(path string) bool {
	for _, m := range r.Models {
		if m.Path == path {
			return true
		}
	}
	return false
}
