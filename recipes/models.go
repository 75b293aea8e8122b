package recipes

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/pipeline"
)

// What a train stage's artifact holds.
const (
	modelDir   = "model"   // a Hugging Face directory
	adapterDir = "adapter" // a PEFT directory
)

// mergedSuffix, after a train stage's name, means its merged model instead of
// its adapter on the base.
const mergedSuffix = "merged"

// checkModel says what is wrong with a reference to a model.
func (r *Recipe) checkModel(ref string) error {
	if m, ok := r.Models[ref]; ok {
		if !m.hasWeights() {
			return fmt.Errorf("%q can be asked, but its weights are not here", ref)
		}
		return nil
	}
	name, part, hasPart := strings.Cut(ref, ".")
	switch s := r.find(name).(type) {
	case *trainStage:
		if hasPart && (part != mergedSuffix || s.LoRA == nil || !s.Merge) {
			return fmt.Errorf("%q: %s is no part of stage %s; with lora and merge there is %s.%s", ref, part, name, name, mergedSuffix)
		}
		return nil
	case *quantizeStage:
		if !hasPart {
			return nil
		}
	}
	return errors.New(unknown("model", ref, r.modelNames()))
}

// modelNames lists everything that can be used as a model.
func (r *Recipe) modelNames() []string {
	names := slices.Collect(maps.Keys(r.Models))
	for _, s := range r.stages {
		switch s.spec.(type) {
		case *trainStage, *quantizeStage:
			names = append(names, s.name)
		}
	}
	return names
}

// modelRef is a model that a stage reads: which stages and outside files it
// needs, and what changes its meaning without changing those.
type modelRef struct {
	stages []string
	files  []string
	chat   *chatOptions // how it is asked, and was tuned to be; nil for plain text
}

// modelRef follows ref to all that loading it needs. The recipe was checked.
func (r *Recipe) modelRef(ref string) modelRef {
	if m, ok := r.Models[ref]; ok {
		if m.isRecorded() {
			return modelRef{files: recordedFiles(m.Recorded)}
		}
		if m.isRemote() {
			return modelRef{files: m.redacting().files()}
		}
		files := []string{m.Path}
		if f := m.Chat.file(); f != "" {
			files = append(files, f)
		}
		return modelRef{files: files, chat: m.Chat}
	}
	name, part, _ := strings.Cut(ref, ".")
	s, ok := r.find(name).(*trainStage)
	if !ok || s.LoRA == nil || part == mergedSuffix {
		return modelRef{stages: []string{name}, chat: r.chatOf(ref)}
	}
	base := r.modelRef(s.Student)
	return modelRef{stages: append([]string{name}, base.stages...), files: base.files, chat: base.chat}
}

// chatOf is how the model that ref names is asked: as what it was made from.
func (r *Recipe) chatOf(ref string) *chatOptions {
	if m, ok := r.Models[ref]; ok {
		return m.Chat
	}
	var from string
	switch s := r.find(head(ref)).(type) {
	case *quantizeStage:
		from = s.Model
	case *trainStage:
		from = s.Student
	}
	if from == "" {
		return nil
	}
	return r.chatOf(from)
}

// loaded is a model ready to run, with its tokenizer.
type loaded struct {
	model     *model.Model
	tokenizer *tokenizer.Tokenizer
	path      string             // directory or GGUF file
	writer    datasets.Prompting // how prompts and answers are written
	bos       int32              // -1 if prompts have none
	stop      []int32
	files     []string // that hold it
	format    string   // such as "gguf Q8_0"
	artifact  string   // directory name of the artifact it was read from, or the path's base
}

// load opens the model that ref names. The caller closes it.
func (r *Recipe) load(w *pipeline.Work, ref string) (*loaded, error) {
	if m, ok := r.Models[ref]; ok {
		l, err := loadPath(m.Path)
		if err != nil {
			return nil, err
		}
		if m.Chat == nil && l.tokenizer.ChatTemplate() != "" {
			w.Warn(fmt.Sprintf("model %s has a chat template, and its prompts are plain text: set models.%s.chat to {} to use it, or to {template: none}", ref, ref))
		}
		return l.asked(m.Chat, "")
	}
	name, part, _ := strings.Cut(ref, ".")
	dir := w.Input(name)
	switch s := r.find(name).(type) {
	case *quantizeStage:
		return r.loadMade(ref, dir, s.fileName())
	case *trainStage:
		if s.LoRA == nil || part == mergedSuffix {
			return r.loadMade(ref, dir, modelDir)
		}
		l, err := r.load(w, s.Student)
		if err != nil {
			return nil, err
		}
		adapter := filepath.Join(dir, adapterDir)
		// The student that was tuned may have had an adapter itself.
		if err := errors.Join(l.model.Merge(), l.model.LoadAdapter(adapter)); err != nil {
			return nil, errors.Join(err, l.close())
		}
		files, err := modelFiles(adapter)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.files, l.artifact = append(l.files, files...), filepath.Base(dir)
		l.format += " + LoRA"
		if err := l.promptingRecord().check(dir); err != nil {
			return nil, errors.Join(err, l.close())
		}
		return l, nil
	}
	return nil, fmt.Errorf("model %q: no such model", ref) // the recipe was checked
}

// loadMade opens a whole model that a stage has made in dir. Its chat template
// is its own, whatever the one that it was tuned with was called.
func (r *Recipe) loadMade(ref, dir, name string) (*loaded, error) {
	l, err := loadPath(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	o := r.chatOf(ref)
	if o != nil && o.Template != noTemplate {
		own := *o
		own.Template = ""
		o = &own
	}
	return l.asked(o, dir)
}

// asked makes l a model that is asked as o says, and, if an artifact holds it,
// checks that it was made so.
func (l *loaded) asked(o *chatOptions, artifact string) (*loaded, error) {
	err := l.setPrompting(o)
	if err == nil && artifact != "" {
		err = l.promptingRecord().check(artifact)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", l.artifact, err), l.close())
	}
	return l, nil
}

// setPrompting finds out how prompts are written for l, and what ends an answer.
func (l *loaded) setPrompting(o *chatOptions) error {
	template, err := o.template(l.path, l.tokenizer)
	if err != nil || template == nil {
		return err
	}
	var ends []string
	for _, id := range l.stop {
		if text, ok := l.tokenizer.Token(id); ok {
			ends = append(ends, text)
		}
	}
	p, err := newChatPrompting(o, template, l.tokenizer, ends)
	if err != nil {
		return err
	}
	if template.Text() != l.tokenizer.ChatTemplate() {
		l.tokenizer = l.tokenizer.WithChatTemplate(template.Text())
	}
	l.writer, l.bos = p, -1 // the template writes what begins a text
	l.stop = append([]int32{p.end}, slices.DeleteFunc(l.stop, func(id int32) bool { return id == p.end })...)
	return nil
}

// loadPath opens a Hugging Face directory or a GGUF file.
func loadPath(path string) (l *loaded, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	l = &loaded{path: path, artifact: filepath.Base(path), writer: datasets.Plain{}}
	if filepath.Base(path) == modelDir {
		l.artifact = filepath.Base(filepath.Dir(path))
	}
	if info.IsDir() {
		if l.files, err = modelFiles(path); err == nil {
			err = l.openDirectory(path)
		}
	} else {
		l.files = []string{path}
		l.artifact = filepath.Base(filepath.Dir(path))
		err = l.openGGUF(path)
	}
	if err == nil {
		err = l.setTokens()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", path, err), l.close())
	}
	return l, nil
}

func (l *loaded) openDirectory(dir string) (err error) {
	if l.model, err = model.Load(cpu.New(0), dir); err != nil {
		return err
	}
	l.format = "safetensors " + l.model.Embed.Weight.Format.String()
	l.tokenizer, err = tokenizer.Load(dir)
	return err
}

func (l *loaded) openGGUF(path string) (err error) {
	if l.model, err = model.LoadGGUF(cpu.New(0), path); err != nil {
		return err
	}
	l.format = "gguf " + l.model.Layers[0].Down.Parts[0].Weight.Format.String()
	l.tokenizer, err = readVocabulary(path)
	return err
}

// readVocabulary is the tokenizer of a GGUF file.
func readVocabulary(path string) (*tokenizer.Tokenizer, error) {
	vocab, err := model.Vocab(path)
	if err != nil {
		return nil, err
	}
	return tokenizer.FromGGUF(vocab)
}

// setTokens finds the tokens that begin prompts and end answers, and refuses a
// tokenizer whose vocabulary does not fit the model.
func (l *loaded) setTokens() error {
	if have, room := l.tokenizer.VocabSize(), l.model.Config.VocabSize; have > room {
		return fmt.Errorf("the tokenizer has token ids up to %d, the model's vocabulary ends at %d", have-1, room-1)
	}
	l.bos = bosOf(l.tokenizer)
	l.stop = slices.Clone(l.model.Config.EOS)
	if eos, ok := l.tokenizer.EOS(); ok && !slices.Contains(l.stop, eos) {
		l.stop = append([]int32{eos}, l.stop...)
	}
	if len(l.stop) == 0 {
		return errors.New("neither the tokenizer nor the configuration names an end token")
	}
	return nil
}

// bosOf is the token that the tokenizer puts before a text, -1 if it puts none.
func bosOf(t *tokenizer.Tokenizer) int32 {
	bos, ok := t.BOS()
	if ids := t.Encode("", true); ok && len(ids) > 0 && ids[0] == bos {
		return bos
	}
	return -1
}

// close releases the model's files.
func (l *loaded) close() error {
	if l.model == nil {
		return nil
	}
	return l.model.Close()
}

// bytes is the size of the model's files.
func (l *loaded) bytes() (int64, error) {
	var n int64
	for _, f := range l.files {
		info, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, nil
}

// modelFiles lists the files of a model or adapter directory that loading can
// read: a hub's directory may hold other formats of the same weights besides.
func modelFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".safetensors", ".json", ".jinja":
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	return list, nil
}

// hash names the model's files by their contents.
func (l *loaded) hash() (string, error) {
	h := sha256.New()
	for _, path := range l.files {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		n, err := io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
		fmt.Fprintf(h, "\n%s %d\n", filepath.Base(path), n)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
