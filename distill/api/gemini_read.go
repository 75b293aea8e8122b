package api

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/retort-ml/retort/distill"
)

type geminiResponse struct {
	Error      json.RawMessage `json:"error"`
	Candidates []struct {
		Content struct {
			Parts []geminiPart `json:"parts"`
		} `json:"content"`
		FinishReason string          `json:"finishReason"`
		LogProbs     *geminiLogProbs `json:"logprobsResult"`
	} `json:"candidates"`
	Feedback *struct {
		BlockReason string `json:"blockReason"`
	} `json:"promptFeedback"`
	Usage *struct {
		Prompt   *int `json:"promptTokenCount"`
		ToolUse  *int `json:"toolUsePromptTokenCount"`
		Cached   *int `json:"cachedContentTokenCount"`
		Answer   *int `json:"candidatesTokenCount"`
		Thoughts *int `json:"thoughtsTokenCount"`
		Total    *int `json:"totalTokenCount"`
	} `json:"usageMetadata"`
	Model string `json:"modelVersion"`
}

type geminiPart struct {
	Text    string `json:"text"`
	Thought bool   `json:"thought"`
	Call    *struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args json.RawMessage `json:"args"`
	} `json:"functionCall"`
}

type geminiToken struct {
	Token   string   `json:"token"`
	LogProb *float64 `json:"logProbability"`
}

type geminiLogProbs struct {
	Top []struct {
		Candidates []geminiToken `json:"candidates"`
	} `json:"topCandidates"`
	Chosen []geminiToken `json:"chosenCandidates"`
}

func (w geminiWire) read(data []byte, r *distill.Request) (distill.Answer, error) {
	var g geminiResponse
	if err := decode(data, &g); err != nil {
		return distill.Answer{}, err
	}
	a := distill.Answer{Model: g.Model}
	if u := g.Usage; u != nil && u.Prompt != nil && min(*u.Prompt, value(u.ToolUse), value(u.Answer), value(u.Thoughts)) >= 0 {
		a.Usage = credible(distill.Usage{PromptTokens: *u.Prompt + value(u.ToolUse), CachedTokens: value(u.Cached),
			AnswerTokens:    max(value(u.Answer)+value(u.Thoughts), value(u.Total)-*u.Prompt-value(u.ToolUse)),
			ReasoningTokens: value(u.Thoughts)})
	}
	if given(g.Error) {
		return a, insideError(g.Error)
	}
	if len(g.Candidates) == 0 {
		if g.Feedback != nil && g.Feedback.BlockReason != "" {
			a.Finish = distill.FinishRefusal
			return a, nil
		}
		return a, errors.New("candidates: there are none, and no promptFeedback.blockReason")
	}
	c := &g.Candidates[0]
	var calls []toolCall
	for i, p := range c.Content.Parts {
		switch {
		case p.Call != nil:
			call := newToolCall(p.Call.ID, p.Call.Name, string(p.Call.Args))
			if call.ID == "" {
				call.ID = fmt.Sprintf("call_%d", i) // Gemini may give none; messages need one
			}
			call.Function.Arguments = call.arguments()
			calls = append(calls, call)
		case p.Thought:
			a.Reasoning += p.Text
		default:
			a.Text += p.Text
		}
	}
	if err := setCalls(&a, calls); err != nil {
		return a, err
	}
	var err error
	if a.Finish, err = geminiFinish(c.FinishReason, &a); err != nil {
		return a, err
	}
	if r.TopK > 0 && a.Finish != distill.FinishRefusal {
		if c.LogProbs == nil {
			return a, errors.New("candidates[0].logprobsResult: there is none, though asked for: the model tells none")
		}
		a.Pieces, err = c.LogProbs.pieces(r.TopK)
	}
	return a, err
}

func geminiFinish(reason string, a *distill.Answer) (string, error) {
	switch reason {
	case "STOP":
		return ended(a), nil
	case "MAX_TOKENS":
		return distill.FinishLength, nil
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY":
		return distill.FinishRefusal, nil
	}
	return "", fmt.Errorf("candidates[0].finishReason: %q: the answer did not end", short(reason))
}

// pieces reads log-probabilities. Gemini tells tokens as texts alone.
func (l *geminiLogProbs) pieces(k int) ([]distill.Piece, error) {
	if len(l.Top) != len(l.Chosen) {
		return nil, fmt.Errorf("candidates[0].logprobsResult: %d tokens chosen, alternatives for %d", len(l.Chosen), len(l.Top))
	}
	list := make([]distill.Piece, 0, len(l.Chosen))
	for i, t := range l.Chosen {
		lp, err := number(t.LogProb)
		if err != nil {
			return nil, fmt.Errorf("candidates[0].logprobsResult.chosenCandidates[%d].logProbability: %w", i, err)
		}
		p := distill.Piece{Bytes: []byte(t.Token), LogProb: lp}
		for j, o := range l.Top[i].Candidates {
			lp, err := number(o.LogProb)
			if err != nil {
				return nil, fmt.Errorf("candidates[0].logprobsResult.topCandidates[%d].candidates[%d].logProbability: %w", i, j, err)
			}
			p.Top = append(p.Top, distill.Alternative{Bytes: []byte(o.Token), LogProb: lp})
		}
		p.Top = likeliest(p.Top, k)
		list = append(list, p)
	}
	return list, nil
}
