package recipes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/tokenizer"
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
	examples, err := r.previewExamples(ctx, made, subject, temporary)
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

// previewExamples are the examples that the stage encodes. A dataset that is yet
// to be made is made in temporary.
func (r *Recipe) previewExamples(ctx context.Context, made func(string) string, p previewed, temporary string) (iter.Seq2[datasets.Example, error], error) {
	if _, ok := r.find(p.on).(*answersStage); ok {
		dir := made(p.on)
		if dir == "" {
			return nil, fmt.Errorf("the answers are yet to be collected: run their stage first: retort run --target %s", p.on)
		}
		a, err := distill.OpenAnswers(dir)
		if err != nil {
			return nil, err
		}
		return datasets.Each(textsOf(a)), nil
	}
	name, split, _ := strings.Cut(p.on, ".")
	d, err := r.previewDataset(ctx, made(name), name, temporary)
	if err != nil {
		return nil, err
	}
	if d.Len(split) == 0 {
		return nil, fmt.Errorf("dataset %s has no examples in split %s", name, split)
	}
	return d.Examples(split), nil
}

// previewDataset opens the dataset in dir, or makes it in temporary from the
// recipe's files.
func (r *Recipe) previewDataset(ctx context.Context, dir, name, temporary string) (*datasets.Dataset, error) {
	if dir != "" {
		return datasets.Open(dir)
	}
	o, err := r.find(name).(*datasetStage).located(temporary)
	if err != nil {
		return nil, err
	}
	return datasets.Make(ctx, temporary, o, datasets.Hooks{Scratch: temporary})
}

func (p previewed) preview(ctx context.Context, l *loaded, examples iter.Seq2[datasets.Example, error], o PreviewOptions, seed uint64) (*Preview, error) {
	learning := p.learning
	learning.NothingLearned = datasets.DropUnlearned
	f := learning.format(l, p.length, p.promptsOnly)
	out := &Preview{Stage: p.stage, On: p.on, Student: p.student, Tokenizer: l.tokenizer.Hash(), ChatTemplate: l.promptingRecord().ChatTemplate, Policy: p.policy()}
	kept := &reservoir{size: o.Rows}
	if o.Seed != nil {
		kept.random = random.Stream(*o.Seed, "preview")
	}
	sizes, lengths := &sizes{}, &datasets.LengthCounts{}
	var err error
	out.Counts, err = datasets.EncodeEach(ctx, l.tokenizer, kept.watch(examples), f, func(e *datasets.Encoded) error {
		if e.Lost == nil {
			lengths.Add(len(e.Tokens), e.PromptLen, p.learned(e))
			sizes.add(&e.Sequence)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Statistics = lengths.Statistics()
	if p.train != nil && sizes.Len() > 0 {
		if out.Packing, err = p.packing(sizes, seed); err != nil {
			return nil, err
		}
	}
	out.Examples, err = p.shown(ctx, l.tokenizer, kept.examples, f)
	return out, err
}

func (p previewed) policy() PreviewPolicy {
	o := PreviewPolicy{Learn: orElse(string(p.learning.Learn), learnValues[0]), TooLong: orElse(p.learning.TooLong, tooLongValues[0]),
		NothingLearned: orElse(p.learning.NothingLearned, nothingLearnedValues[0]), Length: p.length, Weights: map[string]float64{"learned": 1, "other": 0}}
	if p.promptsOnly {
		o.Learn = "prompts"
	} else if p.train != nil {
		o.Weights["other"] = p.train.PromptWeight
	}
	return o
}

// learned is how many tokens of a sequence are learned.
func (p previewed) learned(e *datasets.Encoded) int {
	if p.promptsOnly {
		return len(e.Tokens) - 1
	}
	return e.LearnedTokens()
}

func (p previewed) packing(s *sizes, seed uint64) (*PreviewPacking, error) {
	o := p.train.batches(true, seed)
	b, err := datasets.NewBatchesOf(s, o)
	if errors.Is(err, datasets.ErrNoTokens) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n, accumulate := b.Len(0), orElse(p.train.Accumulate, 1)
	return &PreviewPacking{Rows: o.Rows, Length: o.Length, Fill: b.Fill(0), Batches: n, Steps: (n + accumulate - 1) / accumulate}, nil
}

// shown encodes the chosen examples again, for people; those that give no
// sequence are in the counts.
func (p previewed) shown(ctx context.Context, t *tokenizer.Tokenizer, examples []datasets.Example, f datasets.Format) ([]PreviewExample, error) {
	list := []PreviewExample{}
	at := 0
	_, err := datasets.EncodeEach(ctx, t, datasets.Each(examples), f, func(e *datasets.Encoded) error {
		x := &examples[at]
		if at++; e.Lost == nil {
			list = append(list, PreviewExample{ID: x.ID, File: x.File, Row: x.Row, Tokens: len(e.Tokens), Prompt: e.PromptLen,
				Learned: p.learned(e), Cut: e.Cut, Parts: p.parts(t, &e.Sequence)})
		}
		return nil
	})
	return list, err
}

// parts cuts a sequence where what is learned begins and ends.
func (p previewed) parts(t *tokenizer.Tokenizer, s *datasets.Sequence) []PreviewPart {
	var list []PreviewPart
	stream := t.NewStream(false)
	for at, id := range s.Tokens {
		learned := s.Learns(at) || p.promptsOnly && at > 0
		if len(list) == 0 || list[len(list)-1].Learned != learned {
			if len(list) > 0 {
				list[len(list)-1].Text += stream.Flush()
			}
			list = append(list, PreviewPart{Learned: learned})
		}
		part := &list[len(list)-1]
		part.IDs = append(part.IDs, id)
		part.Text += stream.Next(id)
	}
	if len(list) > 0 {
		list[len(list)-1].Text += stream.Flush()
	}
	return list
}

// reservoir keeps size of the examples that pass: the first ones, or without
// random a choice of them in which each is as likely.
type reservoir struct {
	size     int
	random   *rand.Rand
	seen     int
	examples []datasets.Example
}

func (k *reservoir) watch(examples iter.Seq2[datasets.Example, error]) iter.Seq2[datasets.Example, error] {
	return func(yield func(datasets.Example, error) bool) {
		for e, err := range examples {
			if err == nil {
				k.add(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (k *reservoir) add(e datasets.Example) {
	k.seen++
	if len(k.examples) < k.size {
		k.examples = append(k.examples, e)
	} else if k.random != nil {
		if at := k.random.IntN(k.seen); at < k.size {
			k.examples[at] = e
		}
	}
}

// sizes are sequences of which only the lengths are known: enough to lay them out.
type sizes struct {
	list            []uint32
	tokens, learned int64
}

func (s *sizes) add(q *datasets.Sequence) {
	s.list = append(s.list, uint32(len(q.Tokens)))
	s.tokens += int64(len(q.Tokens))
	s.learned += int64(q.LearnedTokens())
}

func (s *sizes) Len() int               { return len(s.list) }
func (s *sizes) Size(i int) int         { return int(s.list[i]) }
func (s *sizes) Totals() (int64, int64) { return s.tokens, s.learned }
func (s *sizes) Read(int, *datasets.Sequence) error {
	return errors.New("only the lengths of sequences are known")
}
