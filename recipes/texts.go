package recipes

import (
	"context"
	"math"
	"os"
	"strings"

	"github.com/retort-ml/retort/datasets"
)

const (
	// readBytes bounds the files that are read to learn how long their texts are,
	// before a dataset stage has done so.
	readBytes = 64 << 20
	// samplePrompts is how many prompts are tokenized to learn how long tokens are.
	samplePrompts = 100
	// sequenceBytes is the size of an example in tokens, without the tokens.
	sequenceBytes = 64
)

// texts is how many examples a split has, and how long they are.
type texts struct {
	examples                   int
	promptBytes, responseBytes int64    // of all of them
	labels                     int      // distinct responses
	some                       []string // prompts, from everywhere in the split
}

// texts measures the examples that ref names, or those whose prompts a teacher
// answers. Nothing is known of a dataset that is yet to be made of large files.
func (r *Recipe) texts(ctx context.Context, made madeDir, ref string) (texts, error) {
	switch s := r.find(ref).(type) {
	case *answersStage:
		ref = s.From
	case *tokensStage:
		ref = s.On
	}
	name, split, _ := strings.Cut(ref, ".")
	var t texts
	err := r.withDataset(ctx, made, name, func(d *datasets.Dataset) error {
		if d.Len(split) == 0 {
			return nil
		}
		every := d.Len(split)/samplePrompts + 1
		labels := map[string]bool{}
		for e, err := range d.Examples(split) {
			if err != nil {
				return err
			}
			if len(labels) <= maxClasses {
				labels[e.Response] = true
			}
			if t.examples%every == 0 {
				t.some = append(t.some, e.Prompt)
			}
			t.examples++
			t.promptBytes += int64(len(e.Prompt))
			t.responseBytes += int64(len(e.Response))
		}
		t.labels = len(labels)
		return ctx.Err()
	})
	return t, err
}

// withDataset calls f with the dataset of that stage, or of the files that it
// will be made of; not if these are too large, or cannot be read: the stage
// itself says why.
func (r *Recipe) withDataset(ctx context.Context, made madeDir, name string, f func(*datasets.Dataset) error) error {
	if dir := made(name); dir != "" {
		d, err := datasets.Open(dir)
		if err != nil {
			return err
		}
		return f(d)
	}
	s, ok := r.find(name).(*datasetStage)
	if !ok {
		return nil
	}
	dir, err := os.MkdirTemp("", "retort-plan-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o, err := s.located(r, dir)
	if err != nil || !small(o) {
		return nil
	}
	d, err := datasets.Make(ctx, dir, o, datasets.Hooks{Scratch: dir})
	if err != nil {
		return ctx.Err()
	}
	return f(d)
}

// small tells whether the files are so few and short that a plan may read them.
func small(o datasets.Options) bool {
	all := []map[string][]string{o.Files}
	for _, m := range o.Mix {
		all = append(all, m.Files)
	}
	var size int64
	for _, splits := range all {
		for _, files := range splits {
			for _, f := range files {
				info, err := os.Stat(f)
				if err != nil {
					return false
				}
				size += info.Size()
			}
		}
	}
	return size <= readBytes
}

// unknownPrompt is how many tokens a prompt is taken to have when none was read.
const unknownPrompt = 128

// tokens is about how many tokens of o's so many bytes are.
func (t texts) tokens(bytes int64, o *outlined) int64 {
	return int64(math.Ceil(float64(bytes) / o.bytesPerToken(t.some)))
}

// promptTokens is about the mean length of a prompt.
func (t texts) promptTokens(o *outlined) int {
	if t.examples == 0 {
		return unknownPrompt
	}
	return 1 + int(t.tokens(t.promptBytes/int64(t.examples), o))
}

// responseTokens is about the mean length of a response with its end.
func (t texts) responseTokens(o *outlined) int {
	if t.examples == 0 {
		return unknownPrompt
	}
	return 1 + int(t.tokens(t.responseBytes/int64(t.examples), o))
}

// answerTokens is about how many tokens the answers to all prompts have: as
// many as the responses, at most maxTokens each.
func (t texts) answerTokens(o *outlined, maxTokens int) int64 {
	return int64(t.examples) * int64(min(orElse(maxTokens, 256), t.responseTokens(o)))
}

// sequenceBytes is the memory of all examples in tokens, if they are kept in memory.
func (t texts) sequenceBytes(o *outlined) int64 {
	return int64(t.examples)*sequenceBytes + 4*t.tokens(t.promptBytes+t.responseBytes, o)
}

// cachedBytes is likewise what they take in a token cache.
func (t texts) cachedBytes() int64 { return int64(t.examples) * (4 + layoutBytes) }

// featureBytes is about the memory of a bag-of-words model: a weight for every
// word or pair of words that comes more than once, and every label. Measured.
func (t texts) featureBytes() int64 { return t.promptBytes / 20 * 8 * int64(t.labels) }

// heldBytes is the memory of all examples as texts.
func (t texts) heldBytes() int64 {
	return int64(t.examples)*exampleBytes + t.promptBytes + t.responseBytes
}
