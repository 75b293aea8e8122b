package recipes

import (
	"context"
	"slices"

	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/internal/model"
)

// subject is a model as package eval sees it: text in, scores and text out.
type subject struct {
	*loaded
	decoder *model.Decoder
}

func newSubject(l *loaded) *subject { return &subject{l, model.NewDecoder(l.model)} }

// prompts are the token ids of texts, with the beginning mark.
func (s *subject) prompts(texts []string) [][]int32 {
	out := make([][]int32, len(texts))
	for i, t := range texts {
		if s.bos >= 0 {
			out[i] = append(out[i], s.bos)
		}
		out[i] = append(out[i], s.tokenizer.Encode(t, false)...)
	}
	return out
}

// ScoreChoices scores each choice after each prompt. A choice's end token
// counts only if one choice begins with another: then it tells them apart.
func (s *subject) ScoreChoices(ctx context.Context, prompts, choices []string) ([][]float64, []int, error) {
	ids := make([][]int32, len(choices))
	counts := make([]int, len(choices))
	for i, c := range choices {
		ids[i] = s.tokenizer.Encode(c, false)
	}
	ended := anyPrefix(ids)
	for i := range ids {
		if ended {
			ids[i] = append(ids[i], s.stop[0])
		}
		counts[i] = len(ids[i])
	}
	nats, err := s.decoder.ScoreChoices(ctx, s.prompts(prompts), ids)
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
func (s *subject) Generate(ctx context.Context, prompts []string, maxTokens int) ([]eval.Generation, error) {
	out := make([]eval.Generation, len(prompts))
	o := model.GenerateOptions{MaxTokens: maxTokens, Stop: s.stop}
	err := s.decoder.Generate(ctx, s.prompts(prompts), o, func(i int, a model.Answer) error {
		finish := eval.FinishLength
		if a.Stopped {
			finish = eval.FinishStop
		}
		out[i] = eval.Generation{Text: s.tokenizer.Decode(a.Tokens, true), Tokens: len(a.Tokens), Finish: finish}
		return nil
	})
	return out, err
}

// ScoreResponses scores each response with its end token after its prompt.
func (s *subject) ScoreResponses(ctx context.Context, prompts, responses []string) ([]eval.Scored, error) {
	sequences := s.prompts(prompts)
	from := make([]int, len(sequences))
	for i := range sequences {
		from[i] = len(sequences[i])
		sequences[i] = append(sequences[i], s.tokenizer.Encode(responses[i], false)...)
		sequences[i] = append(sequences[i], s.stop[0])
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
func (s *subject) CountTokens(_ context.Context, prompts []string) ([]int, error) {
	out := make([]int, len(prompts))
	for i, ids := range s.prompts(prompts) {
		out[i] = len(ids)
	}
	return out, nil
}
