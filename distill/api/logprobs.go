package api

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/retort-ml/retort/distill"
)

// chatToken is a token with its log-probability, as chat completions tell it.
type chatToken struct {
	Token   string       `json:"token"`
	LogProb *float64     `json:"logprob"`
	Bytes   []byte       `json:"bytes"` // null where the token is text
	Top     []*chatToken `json:"top_logprobs"`
}

// outside is the log-probability that OpenAI gives what is not among the top 20.
const outside = -9999

// pieces reads log-probabilities. Errors begin with the place in the list.
func pieces(tokens []chatToken, k int) ([]distill.Piece, error) {
	list := make([]distill.Piece, 0, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		lp, err := t.logProb()
		if err != nil {
			return nil, fmt.Errorf("[%d].logprob: %w", i, err)
		}
		p := distill.Piece{Bytes: t.bytes(), LogProb: lp}
		for j, alternative := range t.Top {
			if alternative == nil {
				return nil, fmt.Errorf("[%d].top_logprobs[%d]: null", i, j)
			}
			lp, err := alternative.logProb()
			if err != nil {
				return nil, fmt.Errorf("[%d].top_logprobs[%d].logprob: %w", i, j, err)
			}
			if lp > outside {
				p.Top = append(p.Top, distill.Alternative{Bytes: alternative.bytes(), LogProb: lp})
			}
		}
		p.Top = likeliest(p.Top, k)
		list = append(list, p)
	}
	return list, nil
}

// likeliest orders alternatives and leaves the first k of them.
func likeliest(list []distill.Alternative, k int) []distill.Alternative {
	slices.SortStableFunc(list, func(a, b distill.Alternative) int {
		switch {
		case a.LogProb > b.LogProb:
			return -1
		case a.LogProb < b.LogProb:
			return 1
		}
		return 0
	})
	return list[:min(k, len(list))]
}

func (t *chatToken) bytes() []byte {
	if t.Bytes == nil {
		return []byte(t.Token)
	}
	return t.Bytes
}

func (t *chatToken) logProb() (float32, error) { return number(t.LogProb) }

// checkLogProb refuses what is none. Rounding may bring one a little above 0.
func checkLogProb(v float64) (float32, error) {
	if !(v <= 1e-3) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%v: want a number up to 0", v)
	}
	return float32(min(v, 0)), nil
}

// number is a log-probability that may be missing.
func number(v *float64) (float32, error) {
	if v == nil {
		return 0, errors.New("there is none")
	}
	return checkLogProb(*v)
}

// sortedKeys are the alternatives of token i, in an order that does not change; none if k is 0.
func sortedKeys(top []map[string]*float64, i, k int) []string {
	if k == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(top[i]))
}
