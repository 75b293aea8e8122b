package recipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/train"
)

// answers are the sequences of a teacher's answers, and the objective. A student
// that writes its own answers is trained on their prompts alone, or mostly.
func (l *learner) answers(ref string, trained bool) ([]datasets.Sequence, train.Objective, error) {
	a, err := distill.OpenAnswers(l.work.Input(ref))
	if err != nil {
		return nil, nil, err
	}
	if trained && l.stage.OnPolicy != nil {
		texts, err := textsOf(a, l.student.writer)
		if err != nil {
			return nil, nil, err
		}
		list, err := l.encode(ref, texts, l.format(true))
		return list, train.CrossEntropy{}, err
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
	l.open = append(l.open, table)
	objective, err := distill.NewObjective(*l.stage.Distill, table)
	return list, objective, err
}

// sequences are the answers in the student's tokens: the teacher's ids, if they are
// those, so that its probabilities stay with the tokens that they are of. Answers
// without ids, such as those whose text was changed, are encoded.
func (l *learner) sequences(ref string, a *distill.Answers, ids bool) ([]datasets.Sequence, error) {
	var list []datasets.Sequence
	var texts []datasets.Example
	var rows []int // of texts
	var cut []bool // answers of texts that did not end
	lost, i := lostAnswers{}, -1
	for r, err := range a.Rows() {
		if err != nil {
			return nil, err
		}
		i++
		if !ids || len(r.Tokens) == 0 {
			texts, rows, cut = append(texts, textOf(&r, l.student.writer)), append(rows, i), append(cut, r.Finish == distill.FinishLength)
			continue
		}
		s, err := l.tokens(&r)
		if err != nil {
			return nil, fmt.Errorf("%s: example %s: %w", ref, r.ID, err)
		}
		if s.Example = i; !lost.is(&r, &s, l.stage.length()) {
			list = append(list, s)
		}
	}
	if lost != (lostAnswers{}) {
		l.work.Warn(fmt.Sprintf("%s: %d of %d answers are not learned: %d longer than %d tokens, %d empty", ref, lost.long+lost.empty, i+1, lost.long, l.stage.length(), lost.empty))
	}
	if len(texts) == 0 {
		return list, nil
	}
	encoded, err := l.encode(ref, texts, l.format(false))
	for _, s := range encoded {
		if cut[s.Example] {
			l.openEnd(&s)
		}
		s.Example = rows[s.Example]
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b datasets.Sequence) int { return a.Example - b.Example })
	return list, err
}

// lostAnswers counts answers with the teacher's tokens that are not learned.
type lostAnswers struct{ long, empty int }

func (c *lostAnswers) is(r *distill.Row, s *datasets.Sequence, length int) bool {
	switch {
	case r.Finish == distill.FinishEmpty || s.PromptLen == 0:
		c.empty++
	case len(s.Tokens) > length:
		c.long++
	default:
		return false
	}
	return true
}

// tokens are the prompt followed by the teacher's own tokens.
func (l *learner) tokens(r *distill.Row) (s datasets.Sequence, err error) {
	prompt, err := l.student.writer.Prompt(datasets.Question{Text: r.Prompt, Messages: r.Messages, Tools: r.Tools})
	if err != nil {
		return s, err
	}
	if l.student.bos >= 0 {
		s.Tokens = append(s.Tokens, l.student.bos)
	}
	s.Tokens = append(s.Tokens, l.student.tokenizer.Encode(prompt, false)...)
	s.PromptLen, s.Weight = len(s.Tokens), r.Weight
	s.Tokens = append(s.Tokens, r.Tokens...)
	return s, nil
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
func textsOf(a *distill.Answers, w datasets.Prompting) ([]datasets.Example, error) {
	var list []datasets.Example
	for r, err := range a.Rows() {
		if err != nil {
			return nil, err
		}
		list = append(list, textOf(&r, w))
	}
	return list, nil
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
	aligner := distill.NewAligner(l.student.tokenizer, l.student.stop, a.Info.TopK, *l.stage.Distill)
	known, i := false, -1
	for row, err := range a.Rows() {
		if err != nil {
			return nil, distill.Coverage{}, err
		}
		i++
		known = known || len(row.Pieces) > 0
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
	if !known && a.Tokenizer == "" {
		return nil, distill.Coverage{}, errors.New("the answers have no probabilities of a teacher: set top_k of their stage, of a teacher that tells some")
	}
	if !known {
		return nil, distill.Coverage{}, fmt.Errorf("the teacher has another tokenizer than the student, so that its probabilities are of other tokens, and the answers do not keep the bytes of those: "+
			"set pieces: true of the answers stage, and divergence: %s if the two have few tokens in common", distill.ULD)
	}
	return aligner.Finish()
}
