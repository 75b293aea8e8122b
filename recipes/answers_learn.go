package recipes

import (
	"encoding/json"
	"fmt"
	"slices"
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
	return l.follow(ref, a)
}

// follow is answers of those that ref names.
func (l *learner) follow(ref string, a *distill.Answers) ([]datasets.Sequence, train.Objective, error) {
	same := a.Tokenizer == l.student.tokenizer.Hash() // the teacher's ids are the student's
	if l.stage.Distill != nil && same && a.Prompting != l.student.writer.ID() {
		return nil, nil, fmt.Errorf("distill: the teacher of %s was asked with chat template %s and the student is with %s, or with another system turn, date or variables: its probabilities are of other texts",
			ref, short(a.ChatTemplate), short(l.student.promptingRecord().ChatTemplate))
	}
	list, err := l.sequences(ref, a, same && !l.stage.PromptsOnly)
	if err != nil || l.stage.Distill == nil {
		return list, train.CrossEntropy{}, err
	}
	table, err := l.table(ref, a, list, same)
	if err != nil {
		return nil, nil, fmt.Errorf("distill: %s: %w", ref, err)
	}
	objective, err := distill.NewObjective(*l.stage.Distill, table)
	return list, objective, err
}

// sequences are the answers in the student's tokens: the teacher's ids, if they are
// those, so that its probabilities stay with the tokens that they are of. Answers
// without ids, such as those whose text was changed, are encoded.
func (l *learner) sequences(ref string, a *distill.Answers, ids bool) ([]datasets.Sequence, error) {
	var texts []datasets.Example
	var rows []int
	for i := range a.Rows {
		if !ids || len(a.Rows[i].Tokens) == 0 {
			texts, rows = append(texts, textOf(&a.Rows[i], l.student.writer)), append(rows, i)
		}
	}
	var list []datasets.Sequence
	var err error
	if len(texts) < len(a.Rows) {
		if list, err = l.tokens(ref, a); err != nil {
			return nil, err
		}
	}
	if len(texts) == 0 {
		return list, nil
	}
	encoded, err := l.encode(ref, texts)
	for _, s := range encoded {
		s.Example = rows[s.Example]
		if a.Rows[s.Example].Finish == distill.FinishLength {
			l.openEnd(&s)
		}
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b datasets.Sequence) int { return a.Example - b.Example })
	return list, err
}

// openEnd takes off the end token of an answer that was cut: it does not end there.
func (l *learner) openEnd(s *datasets.Sequence) {
	last := len(s.Tokens) - 1
	if l.stage.PromptsOnly || last <= s.PromptLen || s.Tokens[last] != l.student.stop[0] {
		return
	}
	s.Tokens = s.Tokens[:last]
	if s.Learned != nil {
		s.Learned = s.Learned[:last]
	}
}

// textsOf are the answers as examples of a student that is asked with w.
func textsOf(a *distill.Answers, w datasets.Prompting) []datasets.Example {
	list := make([]datasets.Example, len(a.Rows))
	for i := range a.Rows {
		list[i] = textOf(&a.Rows[i], w)
	}
	return list
}

func textOf(r *distill.Row, w datasets.Prompting) datasets.Example {
	e := datasets.Example{ID: r.ID, Prompt: r.Prompt, Messages: r.Messages, Tools: r.Tools, Response: r.Answer, Weight: r.Weight}
	// A student that is asked with plain text has no place for reasoning.
	if _, plain := w.(datasets.Plain); r.ToolCalls != "" || r.Reasoning != "" && !plain {
		turn, err := json.Marshal(struct {
			Role      string          `json:"role"`
			Reasoning string          `json:"reasoning_content,omitempty"`
			Content   string          `json:"content"`
			ToolCalls json.RawMessage `json:"tool_calls,omitempty"`
		}{"assistant", r.Reasoning, r.Answer, json.RawMessage(r.ToolCalls)})
		if err != nil {
			turn = []byte(r.ToolCalls) // no JSON: encoding it names the example
		}
		e.Turn = string(turn)
	}
	return e
}

// tokens are the prompts followed by the teacher's own tokens, of the answers that have them.
func (l *learner) tokens(ref string, a *distill.Answers) ([]datasets.Sequence, error) {
	var list []datasets.Sequence
	long, empty := 0, 0
	for i, row := range a.Rows {
		if len(row.Tokens) == 0 {
			continue
		}
		var s datasets.Sequence
		prompt, err := l.student.writer.Prompt(datasets.Question{Text: row.Prompt, Messages: row.Messages, Tools: row.Tools})
		if err != nil {
			return nil, fmt.Errorf("%s: example %s: %w", ref, row.ID, err)
		}
		if l.student.bos >= 0 {
			s.Tokens = append(s.Tokens, l.student.bos)
		}
		s.Tokens = append(s.Tokens, l.student.tokenizer.Encode(prompt, false)...)
		s.PromptLen, s.Example, s.Weight = len(s.Tokens), i, row.Weight
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
		l.work.Warn(fmt.Sprintf("%s: %d of %d answers are not learned: %s", ref, long+empty, len(a.Rows),
			strings.Join([]string{fmt.Sprintf("%d longer than %d tokens", long, l.stage.length()), fmt.Sprintf("%d empty", empty)}, ", ")))
	}
	return list, nil
}

// table is the teacher's probabilities of the sequences' answers, by row.
func (l *learner) table(ref string, a *distill.Answers, list []datasets.Sequence, same bool) (*distill.TopTable, error) {
	var table *distill.TopTable
	var coverage distill.Coverage
	var err error
	if same {
		if table, err = a.TopK(); err != nil {
			return nil, err
		}
		for _, s := range list {
			n := len(s.Tokens) - s.PromptLen
			coverage.Places += n
			if table.Places(s.Example) > 0 {
				coverage.Known += n
				coverage.Kept, coverage.Told = coverage.Kept+1, coverage.Told+1
			}
		}
		return table, coverage.Check(*l.stage.Distill)
	}
	if table, coverage, err = l.align(a, list); err != nil {
		return nil, err
	}
	l.work.Log(fmt.Sprintf("%s: %v", ref, coverage))
	return table, nil
}

// align brings the probabilities of a teacher whose tokens are others than the
// student's to those of the sequences.
func (l *learner) align(a *distill.Answers, list []datasets.Sequence) (*distill.TopTable, distill.Coverage, error) {
	if !slices.ContainsFunc(a.Rows, func(r distill.Row) bool { return len(r.Pieces) > 0 }) {
		return nil, distill.Coverage{}, fmt.Errorf("the teacher has another tokenizer than the student, so that its probabilities are of other tokens, and the answers do not keep the bytes of those: "+
			"set pieces: true of the answers stage, and divergence: %s if the two have few tokens in common", distill.ULD)
	}
	aligner := distill.NewAligner(l.student.tokenizer, l.student.stop, a.Info.TopK, *l.stage.Distill)
	for i := range a.Rows {
		row := &a.Rows[i]
		var tokens []int32
		if len(list) > 0 && list[0].Example == i {
			tokens, list = list[0].Tokens[list[0].PromptLen:], list[1:]
		}
		pieces, err := row.TokenPieces()
		if err == nil {
			err = aligner.Add(row.ID, row.Answer, tokens, pieces)
		}
		if err != nil {
			return nil, distill.Coverage{}, err
		}
	}
	return aligner.Finish()
}
