package eval

import (
	"context"
	"fmt"
	"strings"

	"github.com/retort-ml/retort/datasets"
)

// generatedAnswers holds a model's greedy answers, item by item (n).
type generatedAnswers struct {
	bench  *benchmark
	answer []string // as compared: outer white space cut, lower case if asked
	text   []string // as generated
	finish []string
	right  []bool
	tokens int // of all answers
	cut    int // answers that ended at max_new_tokens
}

func newGeneratedAnswers(b *benchmark) *generatedAnswers {
	n := len(b.items)
	return &generatedAnswers{bench: b, answer: make([]string, n), text: make([]string, n),
		finish: make([]string, n), right: make([]bool, n)}
}

func (g *generatedAnswers) generatedTokens() int { return g.tokens }

func (g *generatedAnswers) ask(ctx context.Context, s Subject, first int, batch []datasets.Example) error {
	got, err := s.Generate(ctx, datasets.Questions(batch), g.bench.o.MaxNewTokens)
	if err != nil {
		return batchError(batch, err)
	}
	if err := wantLength("answers", len(got), len(batch)); err != nil {
		return err
	}
	for i, one := range got {
		at := first + i
		if one.Tokens < 0 || one.Tokens > g.bench.o.MaxNewTokens {
			return fmt.Errorf("%s: the answer has %d tokens, allowed are %d", itemName(batch[i]), one.Tokens, g.bench.o.MaxNewTokens)
		}
		g.text[at], g.finish[at] = one.Text, one.Finish
		g.answer[at] = normalText(one.Text, g.bench.o.IgnoreCase)
		g.right[at] = g.answer[at] == normalText(batch[i].Response, g.bench.o.IgnoreCase)
		g.tokens += one.Tokens
		if one.Finish == FinishLength {
			g.cut++
		}
	}
	return nil
}

// normalText is the form in which exact_match compares texts.
func normalText(text string, ignoreCase bool) string {
	text = strings.TrimSpace(text)
	if ignoreCase {
		text = strings.ToLower(text)
	}
	return text
}
