package recipes

import (
	"fmt"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/train"
)

// answers are the sequences of a teacher's answers, and the objective.
func (l *learner) answers(ref string) ([]datasets.Sequence, train.Objective, error) {
	a, err := distill.OpenAnswers(l.work.Input(ref))
	if err != nil {
		return nil, nil, err
	}
	var objective train.Objective = train.CrossEntropy{}
	if a.Tokenizer != l.student.tokenizer.Hash() {
		if l.stage.Distill != nil {
			return nil, nil, fmt.Errorf("distill: the teacher of %s has another tokenizer than the student: its probabilities are of other tokens", ref)
		}
		texts, err := textsOf(a)
		if err != nil {
			return nil, nil, err
		}
		sequences, err := l.encode(ref, texts)
		return sequences, objective, err
	}
	if l.stage.Distill != nil {
		if a.Prompting != l.student.writer.ID() {
			return nil, nil, fmt.Errorf("distill: the teacher of %s was asked with chat template %s and the student is with %s, or with another system turn, date or variables: its probabilities are of other texts",
				ref, short(a.ChatTemplate), short(l.student.promptingRecord().ChatTemplate))
		}
		table, err := a.TopK()
		if err != nil {
			return nil, nil, err
		}
		l.open = append(l.open, table)
		if objective, err = distill.NewObjective(*l.stage.Distill, table); err != nil {
			return nil, nil, err
		}
	}
	if l.stage.PromptsOnly {
		texts, err := textsOf(a)
		if err != nil {
			return nil, nil, err
		}
		sequences, err := l.encode(ref, texts)
		return sequences, objective, err
	}
	sequences, err := l.tokens(ref, a)
	return sequences, objective, err
}

// textsOf are the answers as examples.
func textsOf(a *distill.Answers) ([]datasets.Example, error) {
	var list []datasets.Example
	for row, err := range a.Rows() {
		if err != nil {
			return nil, err
		}
		list = append(list, datasets.Example{ID: row.ID, Prompt: row.Prompt, Response: row.Answer})
	}
	return list, nil
}

// tokens are the prompts followed by the teacher's own tokens, so that its
// probabilities stay with the tokens that they are of.
func (l *learner) tokens(ref string, a *distill.Answers) ([]datasets.Sequence, error) {
	var list []datasets.Sequence
	long, empty, i := 0, 0, -1
	for row, err := range a.Rows() {
		if err != nil {
			return nil, err
		}
		i++
		var s datasets.Sequence
		if l.student.bos >= 0 {
			s.Tokens = append(s.Tokens, l.student.bos)
		}
		prompt, err := l.student.writer.Prompt(datasets.Ask(row.Prompt))
		if err != nil {
			return nil, fmt.Errorf("%s: example %s: %w", ref, row.ID, err)
		}
		s.Tokens = append(s.Tokens, l.student.tokenizer.Encode(prompt, false)...)
		s.PromptLen, s.Example = len(s.Tokens), i
		s.Tokens = append(s.Tokens, row.Tokens...)
		switch {
		case row.Finish == distill.FinishEmpty || s.PromptLen == 0:
			empty++
		case len(s.Tokens) > l.stage.length():
			long++
		default:
			list = append(list, s)
		}
	}
	if long+empty > 0 {
		l.work.Warn(fmt.Sprintf("%s: %d of %d answers are not learned: %s", ref, long+empty, a.Counts.Answers,
			strings.Join([]string{fmt.Sprintf("%d longer than %d tokens", long, l.stage.length()), fmt.Sprintf("%d empty", empty)}, ", ")))
	}
	return list, nil
}
