package model

import (
	"context"
	"fmt"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
)

// scoreRows bounds the rows of one step when scoring, and logitRows those
// whose logits exist at a time.
const (
	scoreRows = 2048
	logitRows = 256
)

// Scored is what a model makes of a given continuation.
type Scored struct {
	LogProbs []float32   // of each token, in nats
	Top      []TopTokens // per token, when asked for
}

// Score returns the log-probabilities of the tokens of each sequence from index
// from[i] ≥ 1 on, each given all before it, and with topK > 0 the likeliest
// alternatives at each place.
func (d *Decoder) Score(ctx context.Context, sequences [][]int32, from []int, topK int) ([]Scored, error) {
	if len(from) != len(sequences) {
		return nil, fmt.Errorf("score %d sequences from %d indices", len(sequences), len(from))
	}
	for i, s := range sequences {
		if from[i] < 1 || from[i] > len(s) {
			return nil, fmt.Errorf("sequence %d: scoring from token %d of %d", i, from[i], len(s))
		}
		if err := d.checkTokens(s, -1); err != nil { // the last is only predicted
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	out := make([]Scored, len(sequences))
	for start := 0; start < len(sequences); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end, rows := start, 0
		for end < len(sequences) && (end == start || rows+len(sequences[end]) <= scoreRows) {
			rows += len(sequences[end])
			end++
		}
		if err := d.scoreBatch(sequences[start:end], from[start:end], topK, out[start:end]); err != nil {
			return nil, fmt.Errorf("sequences %d to %d: %w", start, end-1, err)
		}
		start = end
	}
	return out, nil
}

// scoredRow is a row of a step whose next token is scored.
type scoredRow struct {
	row    int32
	target int32
	out    int // index of the sequence
}

func (d *Decoder) scoreBatch(sequences [][]int32, from []int, topK int, out []Scored) error {
	var runs []Run
	var list []scoredRow
	row := 0
	for i, s := range sequences {
		if from[i] == len(s) {
			continue
		}
		runs = append(runs, Run{d.NewCache(len(s) - 1), s[:len(s)-1]})
		for j := from[i]; j < len(s); j++ {
			list = append(list, scoredRow{int32(row + j - 1), s[j], i})
		}
		row += len(s) - 1
	}
	if len(runs) == 0 {
		return nil
	}
	h, err := d.Step(runs)
	if err != nil {
		return err
	}
	return d.eachLogProbs(h, list, func(r scoredRow, logProbs []float32) error {
		s := &out[r.out]
		s.LogProbs = append(s.LogProbs, logProbs[r.target])
		if topK > 0 {
			ids, values := top(logProbs, topK)
			s.Top = append(s.Top, TopTokens{ids, values})
		}
		return nil
	})
}

// eachLogProbs calls f with the log-probabilities (V) of each row in list.
func (d *Decoder) eachLogProbs(h compute.Mat, list []scoredRow, f func(scoredRow, []float32) error) error {
	for chunk := range slices.Chunk(list, logitRows) {
		rows := make([]int32, len(chunk))
		for i, r := range chunk {
			rows[i] = r.row
		}
		logits := d.Logits(h, rows)
		d.m.dev.LogSoftmax(logits)
		for i, r := range chunk {
			values := d.m.dev.Host(logits.RowRange(i, i+1))
			if err := finite(values); err != nil {
				return err
			}
			if err := f(r, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// ScoreChoices returns the log-likelihood in nats (prompts,choices) of each
// choice, a list of token ids, as the continuation of each prompt. The prompt
// is computed once, and choices that begin alike share their beginning.
func (d *Decoder) ScoreChoices(ctx context.Context, prompts, choices [][]int32) ([][]float64, error) {
	longest := 0
	for i, c := range choices {
		if err := d.checkTokens(c, 0); err != nil {
			return nil, fmt.Errorf("choice %d: %w", i, err)
		}
		longest = max(longest, len(c))
	}
	for i, p := range prompts {
		if err := d.checkTokens(p, max(longest-1, 0)); err != nil {
			return nil, fmt.Errorf("prompt %d with the longest choice: %w", i, err)
		}
	}
	out := make([][]float64, len(prompts))
	for start := 0; start < len(prompts); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end, rows := start, 0
		for end < len(prompts) && (end == start || rows+len(prompts[end]) <= scoreRows) {
			rows += len(prompts[end])
			end++
		}
		if err := d.choicesBatch(prompts[start:end], choices, out[start:end]); err != nil {
			return nil, fmt.Errorf("prompts %d to %d: %w", start, end-1, err)
		}
		start = end
	}
	return out, nil
}

// choicesBatch scores the first token of every choice from the prompts' last
// rows, then the others from copies of the prompts' caches.
func (d *Decoder) choicesBatch(prompts, choices [][]int32, out [][]float64) error {
	runs := make([]Run, len(prompts))
	list := make([]scoredRow, len(prompts))
	row := 0
	for i, p := range prompts {
		runs[i] = Run{d.NewCache(len(p)), p}
		row += len(p)
		list[i] = scoredRow{row: int32(row - 1), out: i}
		out[i] = make([]float64, len(choices))
	}
	h, err := d.Step(runs)
	if err != nil {
		return err
	}
	err = d.eachLogProbs(h, list, func(r scoredRow, logProbs []float32) error {
		for c, tokens := range choices {
			out[r.out][c] = float64(logProbs[tokens[0]])
		}
		return nil
	})
	if err != nil {
		return err
	}
	branches := branchesOf(choices)
	if len(branches) == 0 {
		return nil
	}
	for i, r := range runs {
		if err := d.scoreBranches(r.Cache, branches, choices, out[i]); err != nil {
			return fmt.Errorf("prompt %d: %w", i, err)
		}
	}
	return nil
}

// branch is a beginning that several choices share: all their tokens but the last.
type branch struct {
	tokens  []int32
	choices []int
}

// branchesOf groups the choices of two tokens and more by their beginnings; a
// beginning that another continues is part of that one.
func branchesOf(choices [][]int32) []branch {
	var order []int
	for i, c := range choices {
		if len(c) > 1 {
			order = append(order, i)
		}
	}
	// Longest beginnings first, so that shorter ones find theirs.
	slices.SortStableFunc(order, func(a, b int) int { return len(choices[b]) - len(choices[a]) })
	var list []branch
	for _, i := range order {
		head := choices[i][:len(choices[i])-1]
		at := slices.IndexFunc(list, func(b branch) bool {
			return len(b.tokens) >= len(head) && slices.Equal(b.tokens[:len(head)], head)
		})
		if at < 0 {
			list = append(list, branch{tokens: head})
			at = len(list) - 1
		}
		list[at].choices = append(list[at].choices, i)
	}
	return list
}

// scoreBranches adds the log-probabilities of the choices' second and later
// tokens after the sequence in cache.
func (d *Decoder) scoreBranches(cache *Cache, branches []branch, choices [][]int32, out []float64) error {
	for len(branches) > 0 {
		var runs []Run
		var list []scoredRow
		row := 0
		n := 0
		for n < len(branches) && (n == 0 || row+len(branches[n].tokens) <= scoreRows) {
			b := branches[n]
			runs = append(runs, Run{cache.Fork(len(b.tokens)), b.tokens})
			for _, c := range b.choices {
				for j := 1; j < len(choices[c]); j++ {
					list = append(list, scoredRow{int32(row + j - 1), choices[c][j], c})
				}
			}
			row += len(b.tokens)
			n++
		}
		h, err := d.Step(runs)
		if err != nil {
			return err
		}
		err = d.eachLogProbs(h, list, func(r scoredRow, logProbs []float32) error {
			out[r.out] += float64(logProbs[r.target])
			return nil
		})
		if err != nil {
			return err
		}
		branches = branches[n:]
	}
	return nil
}
