package recipes

import (
	"context"
	"fmt"
	"iter"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/refine"
)

// answered is an example with all that the teacher said about it.
type answered struct {
	example    datasets.Example
	requests   []distill.Request
	answers    []distill.Answer
	screened   refine.Screened
	rationales []string // by answer, of a stage that asks for them
}

// taught is an answer to learn.
type taught struct {
	index     int    // of the answers; -1 for none of them
	prompt    string // "" is the example's
	text      string
	rationale bool // text is the reasons, not the answer
	weight    float64
}

// answered yields the examples with their answers, screened, in order.
func (a *answering) answered(ctx context.Context) iter.Seq2[*answered, error] {
	return func(yield func(*answered, error) bool) {
		next, stop := iter.Pull2(a.store.Each(ctx, a.teacher.Identity(), a.requests()))
		defer stop()
		for e, err := range a.data.Examples(a.split) {
			x := &answered{example: e}
			for range a.requestsEach() {
				if err != nil {
					break
				}
				var got distill.Answered
				var ok bool
				if got, err, ok = next(); !ok && err == nil {
					err = fmt.Errorf("the answers end before example %s", e.ID)
				}
				x.requests, x.answers = append(x.requests, got.Request), append(x.answers, got.Answer)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			a.screen(x)
			if !yield(x, nil) {
				return
			}
		}
	}
}

// screen finds the answers that may be learned.
func (a *answering) screen(x *answered) {
	reference := x.example.Reference
	if reference == "" {
		reference = x.example.Response
	}
	var list []refine.Answer
	var places []int
	rejected := make([][]refine.Fault, len(x.answers))
	for i, answer := range x.answers {
		text := answer.Text
		if a.Rationale != nil && answer.Finish != distill.FinishFailed {
			why, short, err := a.Rationale.Parse(text)
			if err != nil {
				rejected[i] = []refine.Fault{{Validator: "rationale", Message: err.Error()}}
				x.rationales = append(x.rationales, "")
				continue
			}
			x.rationales, text = append(x.rationales, why), short
		} else {
			x.rationales = append(x.rationales, "")
		}
		// An empty answer is one that training leaves out; where there is a choice, it is none.
		if answer.Finish == distill.FinishFailed || answer.Finish == distill.FinishEmpty && a.chooses() {
			rejected[i] = []refine.Fault{{Validator: answer.Finish, Message: answer.Error}}
			continue
		}
		list, places = append(list, refine.Answer{Text: text, Finish: answer.Finish}), append(places, i)
	}
	s := a.checker.Screen(list, reference)
	for k, faults := range s.Rejected {
		rejected[places[k]] = faults
	}
	x.screened = refine.Screened{Texts: s.Texts, Rejected: rejected}
	for _, k := range s.Indices {
		x.screened.Indices = append(x.screened.Indices, places[k])
	}
}

// chooses tells whether the stage says which answers are learned.
func (s *answersStage) chooses() bool {
	return s.Accept != nil || s.Choose != nil || s.Rationale != nil || s.samples() > 1
}

// choose says what is learned of an example.
func (a *answering) choose(_ context.Context, x *answered) ([]taught, error) {
	if a.LabelProbs {
		return a.labelled(x)
	}
	c, err := a.chooser.Choose(x.screened)
	if err != nil {
		return nil, err
	}
	return a.chosen(x, c), nil
}

// chosen makes targets of a choice.
func (a *answering) chosen(x *answered, c refine.Choice) []taught {
	a.stats.Add(x.screened, c)
	var list []taught
	for _, answer := range c.Chosen {
		if a.Rationale == nil {
			list = append(list, taught{index: answer.Index, text: answer.Text, weight: answer.Weight})
			continue
		}
		for k, t := range a.Rationale.Targets(x.example.Prompt, x.rationales[max(answer.Index, 0)], answer.Text) {
			list = append(list, taught{index: -1, prompt: t.Prompt, text: t.Response, rationale: k > 0, weight: answer.Weight * t.Weight})
		}
	}
	return list
}

// leastWeight is the least probability of a label that is learned.
const leastWeight = 1e-3

// labelled makes a target of each label, weighing its probability.
func (a *answering) labelled(x *answered) ([]taught, error) {
	p, err := a.labelProbs(x)
	if err != nil {
		return nil, err
	}
	a.stats.Add(x.screened, refine.Choice{Chosen: []refine.Chosen{{}}})
	var list []taught
	mass := 0.0
	for i, label := range a.labels() {
		if p[i] >= leastWeight {
			list, mass = append(list, taught{index: -1, text: label, weight: p[i]}), mass+p[i]
		}
	}
	for i := range list {
		list[i].weight /= mass
	}
	return list, nil
}

// labelProbs is the teacher's probability of each label.
func (a *answering) labelProbs(x *answered) ([]float64, error) {
	for _, answer := range x.answers {
		if answer.Finish == distill.FinishFailed {
			return nil, fmt.Errorf("the teacher scored not every label: %s", answer.Error)
		}
	}
	if a.teacher.scores {
		logs := make([]float64, len(x.answers))
		for i, answer := range x.answers {
			for _, l := range answer.LogProbs {
				logs[i] += float64(l)
			}
		}
		return refine.FromLogLikelihoods(logs)
	}
	positions := make([]refine.Position, 0, len(x.answers[0].Pieces))
	for _, piece := range x.answers[0].Pieces {
		p := refine.Position{Token: piece.Bytes}
		for _, t := range piece.Top {
			p.Top = append(p.Top, refine.Alternative{Bytes: t.Bytes, LogProb: float64(t.LogProb)})
		}
		positions = append(positions, p)
	}
	probs, err := refine.FromTopLogProbs(a.labels(), positions)
	return probs.P, err
}

// row is the artifact's row of a target.
func (a *answering) row(x *answered, t taught) distill.Row {
	at := max(t.index, 0)
	answer := x.answers[at]
	changed := t.index < 0 || t.text != answer.Text
	if changed { // the teacher's tokens are of another text
		answer.Tokens, answer.LogProbs, answer.Top, answer.Pieces = nil, nil, nil, nil
	}
	if a.Pieces {
		answer.Pieces = a.teacher.pieces(&answer)
	}
	answer.Text = t.text
	row := distill.NewRow(x.example.ID, a.teacher.Identity(), x.requests[at], answer)
	row.Prompt, row.Weight = x.example.Prompt, float32(t.weight)
	if t.prompt != "" {
		row.Prompt = t.prompt
	}
	if a.Rationale != nil {
		row.Target = distill.TargetLabel
		if t.rationale {
			row.Target = distill.TargetRationale
		}
	}
	return row
}
