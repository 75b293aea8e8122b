package recipes

import (
	"context"
	"fmt"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/internal/model"
)

// subject is a model as package eval sees it: text in, scores and text out.
type subject struct {
	*loaded
	decoder *model.Decoder
}

func newSubject(l *loaded) *subject { return &subject{l, model.NewDecoder(l.model)} }

// prompts are the token ids of prompts as the model reads them, with the beginning mark.
func (s *subject) prompts(questions []datasets.Question) ([][]int32, error) {
	out := make([][]int32, len(questions))
	for i, q := range questions {
		written, err := s.writer.Prompt(q)
		if err != nil {
			return nil, fmt.Errorf("prompt %q: %w", q.Text, err)
		}
		if s.bos >= 0 {
			out[i] = append(out[i], s.bos)
		}
		out[i] = append(out[i], s.tokenizer.Encode(written, false)...)
	}
	return out, nil
}

// response are the token ids of a response, without its end.
func (s *subject) response(text string) ([]int32, error) {
	written, err := s.writer.Response(text)
	if err != nil {
		return nil, fmt.Errorf("response %q: %w", text, err)
	}
	return s.tokenizer.Encode(written, false), nil
}

// ScoreChoices scores each choice after each prompt. A choice's end token
// counts only if one choice begins with another: then it tells them apart.
func (s *subject) ScoreChoices(ctx context.Context, prompts []datasets.Question, choices []string) ([][]float64, []int, error) {
	ids := make([][]int32, len(choices))
	counts := make([]int, len(choices))
	for i, c := range choices {
		var err error
		if ids[i], err = s.response(c); err != nil {
			return nil, nil, err
		}
	}
	ended := anyPrefix(ids)
	for i := range ids {
		if ended {
			ids[i] = append(ids[i], s.stop[0])
		}
		counts[i] = len(ids[i])
	}
	asked, err := s.prompts(prompts)
	if err != nil {
		return nil, nil, err
	}
	nats, err := s.decoder.ScoreChoices(ctx, asked, ids)
	return nats, counts, err
}

// anyPrefix tells whether one list begins with another.
func anyPrefix(lists [][]int32) bool {
	sorted := slices.Clone(lists)
	slices.SortFunc(sorted, slices.Compare)
	for i := 1; i < len(sorted); i++ {
		before := sorted[i-1]
		if len(before) < len(sorted[i]) && slices.Equal(before, sorted[i][:len(before)]) {
			return true
		}
	}
	return false
}

// Generate answers each prompt greedily.
func (s *subject) Generate(ctx context.Context, prompts []datasets.Question, maxTokens int) ([]eval.Generation, error) {
	out := make([]eval.Generation, len(prompts))
	o := model.GenerateOptions{MaxTokens: maxTokens, Stop: s.stop}
	asked, err := s.prompts(prompts)
	if err != nil {
		return nil, err
	}
	err = s.decoder.Generate(ctx, asked, o, func(i int, a model.Answer) error {
		finish, answer := eval.FinishLength, a.Tokens
		if a.Stopped {
			finish, answer = eval.FinishStop, answer[:len(answer)-1]
		}
		out[i] = eval.Generation{Text: s.writer.Answer(s.tokenizer.Decode(answer, true)), Tokens: len(a.Tokens), Finish: finish}
		return nil
	})
	return out, err
}

// ScoreResponses scores each response with its end token after its prompt.
func (s *subject) ScoreResponses(ctx context.Context, prompts []datasets.Question, responses []string) ([]eval.Scored, error) {
	sequences, err := s.prompts(prompts)
	if err != nil {
		return nil, err
	}
	from := make([]int, len(sequences))
	for i := range sequences {
		from[i] = len(sequences[i])
		ids, err := s.response(responses[i])
		if err != nil {
			return nil, err
		}
		sequences[i] = append(append(sequences[i], ids...), s.stop[0])
	}
	scored, err := s.decoder.Score(ctx, sequences, from, 0)
	if err != nil {
		return nil, err
	}
	out := make([]eval.Scored, len(scored))
	for i, sc := range scored {
		out[i].Tokens = len(sc.LogProbs)
		for _, l := range sc.LogProbs {
			out[i].Nats += float64(l)
		}
	}
	return out, nil
}

// CountTokens counts the tokens of each prompt.
func (s *subject) CountTokens(_ context.Context, prompts []datasets.Question) ([]int, error) {
	out := make([]int, len(prompts))
	asked, err := s.prompts(prompts)
	for i, ids := range asked {
		out[i] = len(ids)
	}
	return out, err
}
