package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/pipeline"
)

// classifier is an encoder that classifies, with its tokenizer. It is an
// eval.Subject: the choices are its labels, and it generates nothing.
type classifier struct {
	model     *model.Classifier
	tokenizer *tokenizer.Tokenizer
	files     []string
}

func (l *classifier) close() error { return l.model.Close() }

func (l *classifier) promptingRecord() promptingRecord {
	return promptingRecord{Tokenizer: l.tokenizer.Hash()}
}

// encoder is the directory of the encoder that ref names; false of any other model. made
// is the directory of a stage's artifact.
func (r *Recipe) encoder(ref string, made func(stage string) string) (dir string, ok bool) {
	if m, ok := r.Models[ref]; ok {
		return m.Path, isEncoder(m.Path)
	}
	if _, ok := r.find(ref).(*classifierStage); ok {
		return filepath.Join(made(ref), modelDir), true
	}
	return "", false
}

// isEncoder tells whether a path is a Hugging Face directory of an encoder.
func isEncoder(path string) bool {
	data, err := os.ReadFile(filepath.Join(path, "config.json"))
	if err != nil {
		return false // who opens it says why
	}
	var c struct {
		ModelType string `json:"model_type"`
	}
	return json.Unmarshal(data, &c) == nil && model.IsEncoder(c.ModelType)
}

// loadClassifier opens a classifier's directory. The caller closes it.
func loadClassifier(dir string) (_ *classifier, err error) {
	l := &classifier{}
	if l.model, err = model.LoadClassifier(cpu.New(0), dir); err != nil {
		return nil, err
	}
	if err = l.openTokenizer(dir); err == nil {
		l.files, err = modelFiles(dir)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// encode is the token ids of a text with the special tokens, of which those of
// the text are cut at the end so that there are at most limit in all; whole if they are not.
func (l *classifier) encode(text string, limit int) (ids []int32, whole bool) {
	ids = l.tokenizer.Encode(text, true)
	if len(ids) <= limit {
		return ids, true
	}
	inner := l.tokenizer.Encode(text, false)
	around := len(ids) - len(inner)
	for before := 0; before <= around; before++ {
		if slices.Equal(ids[before:before+len(inner)], inner) {
			kept := max(0, limit-around)
			return slices.Concat(ids[:before], inner[:kept], ids[before+len(inner):]), false
		}
	}
	return ids[:limit], false
}

// ScoreChoices returns the log-probabilities of the labels that choices name.
func (l *classifier) ScoreChoices(_ context.Context, prompts []datasets.Question, choices []string) ([][]float64, []int, error) {
	classes, counts := make([]int32, len(choices)), make([]int, len(choices))
	for i, choice := range choices {
		class, err := l.model.Config.Label(choice)
		if err != nil {
			return nil, nil, err
		}
		classes[i], counts[i] = class, 1
	}
	texts := make([]model.Text, len(prompts))
	for i, p := range prompts {
		texts[i].Tokens, _ = l.encode(p.Text, l.model.Config.MaxPositionEmbeddings)
	}
	logits, err := l.model.Logits(texts)
	if err != nil {
		return nil, nil, err
	}
	nats := make([][]float64, len(logits))
	for i, row := range logits {
		top, sum := float64(slices.Max(row)), 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		for _, class := range classes {
			nats[i] = append(nats[i], min(0, float64(row[class])-top-math.Log(sum)))
		}
	}
	return nats, counts, nil
}

// Generate is not what an encoder does.
func (l *classifier) Generate(context.Context, []datasets.Question, int) ([]eval.Generation, error) {
	return nil, fmt.Errorf("a classifier generates no text: %w", errors.ErrUnsupported)
}

// ScoreResponses is not what an encoder does.
func (l *classifier) ScoreResponses(context.Context, []datasets.Question, []string) ([]eval.Scored, error) {
	return nil, fmt.Errorf("a classifier scores labels alone: %w", errors.ErrUnsupported)
}

// CountTokens counts the tokens of each prompt as the model reads it.
func (l *classifier) CountTokens(_ context.Context, prompts []datasets.Question) ([]int, error) {
	counts := make([]int, len(prompts))
	for i, p := range prompts {
		ids, _ := l.encode(p.Text, l.model.Config.MaxPositionEmbeddings)
		counts[i] = len(ids)
	}
	return counts, nil
}

// scorer is a model that scores labels, opened for ref, an encoder or a
// decoder, and what closes it.
func (r *Recipe) scorer(w *pipeline.Work, ref string) (eval.NamedSubject, func() error, error) {
	var s eval.NamedSubject
	if dir, ok := r.encoder(ref, w.Input); ok {
		l, err := loadClassifier(dir)
		if err != nil {
			return s, nil, err
		}
		if r.find(ref) != nil {
			if err := l.promptingRecord().check(filepath.Dir(dir)); err != nil {
				return s, l.close, err
			}
		}
		s.Subject, s.Artifact, s.Parameters = l, artifactOf(dir), int64(l.model.Parameters())
		s.Format, s.Tokenizer = "safetensors classifier", l.tokenizer.Hash()
		s.FileBytes, err = (&loaded{files: l.files}).bytes()
		return s, l.close, err
	}
	l, err := r.load(w, ref)
	if err != nil {
		return s, nil, err
	}
	s.Subject, s.Artifact, s.Parameters, s.Format = newSubject(l), l.artifact, int64(l.model.Parameters()), l.format
	s.Tokenizer, s.ChatTemplate = l.tokenizer.Hash(), l.promptingRecord().ChatTemplate
	s.FileBytes, err = l.bytes()
	return s, l.close, err
}

// artifactOf names where a model's directory was read from.
func artifactOf(dir string) string {
	if filepath.Base(dir) == modelDir {
		dir = filepath.Dir(dir)
	}
	return filepath.Base(dir)
}

// askedAtOnce is how many texts a teacher scores at a time.
const askedAtOnce = 32

// ask is the teacher's probabilities of the labels for each example.
func (s *classifierStage) ask(ctx context.Context, w *pipeline.Work, r *Recipe, list []datasets.Example, labels []string) (all [][]float64, err error) {
	teacher, closeTeacher, err := r.scorer(w, s.Teacher)
	if closeTeacher != nil {
		defer func() { err = errors.Join(err, closeTeacher()) }()
	}
	if err != nil {
		return nil, err
	}
	for part := range slices.Chunk(list, askedAtOnce) {
		nats, _, err := teacher.Subject.ScoreChoices(ctx, datasets.Questions(part), labels)
		if err != nil {
			return nil, err
		}
		for i, row := range nats {
			p, err := normalized(row)
			if err != nil {
				return nil, fmt.Errorf("example %s: %w", part[i].ID, err)
			}
			all = append(all, p)
		}
		w.Progress(int64(len(all)), int64(len(list)), "texts")
	}
	return all, nil
}

// normalized turns log-likelihoods into probabilities that sum to 1.
func normalized(nats []float64) ([]float64, error) {
	top, sum := slices.Max(nats), 0.0
	p := make([]float64, len(nats))
	for i, n := range nats {
		p[i] = math.Exp(n - top)
		sum += p[i]
	}
	if math.IsNaN(sum) || math.IsInf(top, 0) {
		return nil, fmt.Errorf("log-likelihoods of the labels are %v", nats)
	}
	for i := range p {
		p[i] /= sum
	}
	return p, nil
}
