package model

import (
	"context"
	"fmt"
	"slices"
)

// ScoreChoices returns the log-likelihood in nats (prompts,choices) of each
// choice, a list of token ids, as the continuation of each prompt. What prompts
// begin with in common is computed once, and a choice that another begins with
// is part of that one. Where choices make a sequence a long one, whose tokens
// are all turned in another way, each is scored with the whole prompt.
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
	var alone, together []int
	for i, p := range prompts {
		out[i] = make([]float64, len(choices))
		if d.memory.sameTurn(len(p), len(p)+max(longest-1, 0)) {
			together = append(together, i)
		} else {
			alone = append(alone, i)
		}
	}
	if err := d.scoreWhole(ctx, prompts, choices, alone, out); err != nil {
		return nil, err
	}
	return out, d.scoreTogether(ctx, prompts, choices, together, out)
}

// scoreWhole scores each choice after each of the prompts i as a sequence of its own.
func (d *Decoder) scoreWhole(ctx context.Context, prompts, choices [][]int32, of []int, out [][]float64) error {
	var sequences [][]int32
	var from []int
	for _, i := range of {
		for _, c := range choices {
			sequences, from = append(sequences, slices.Concat(prompts[i], c)), append(from, len(prompts[i]))
		}
	}
	scored, err := d.Score(ctx, sequences, from, 0)
	if err != nil {
		return fmt.Errorf("prompts with choices: %w", err)
	}
	for k, s := range scored {
		for _, v := range s.LogProbs {
			out[of[k/len(choices)]][k%len(choices)] += float64(v)
		}
	}
	return nil
}

// scoreTogether scores the choices after the prompts i, which choices share.
func (d *Decoder) scoreTogether(ctx context.Context, prompts, choices [][]int32, of []int, out [][]float64) error {
	taken, rows := make([][]int32, len(of)), make([][]float64, len(of))
	for k, i := range of {
		taken[k], rows[k] = prompts[i], out[i]
	}
	s := newChoiceScorer(d, taken, choices, rows)
	for !s.feed.empty() || len(s.waiting) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.step(); err != nil {
			return err
		}
	}
	return nil
}

// choiceScorer is a call of ScoreChoices. A prompt's last row scores the first
// token of every choice; then the branches, which read the prompt's cache,
// score the others. A step has branches of many prompts, and the next prompts.
type choiceScorer struct {
	d        *Decoder
	choices  [][]int32
	all      []int // indices of choices
	branches []branch
	feed     *feed
	waiting  []*prompted
	out      [][]float64

	pieces []piece
	runs   []branchRun
	rows   []int32 // of the step, to be scored
	scored []score // of each of rows
}

// prompted is a prompt that is in, with the number of its branches that have run.
type prompted struct {
	*intake
	done int
}

// branchRun is a branch in a step.
type branchRun struct {
	branch *branch
	prompt int
	cache  *Cache
}

// score says what a row is for: token at of some choices after a prompt.
type score struct {
	prompt, at int
	choices    []int
}

func newChoiceScorer(d *Decoder, prompts, choices [][]int32, out [][]float64) *choiceScorer {
	s := &choiceScorer{d: d, choices: choices, branches: branchesOf(choices), out: out}
	for i := range choices {
		s.all = append(s.all, i)
	}
	s.feed = d.newFeed(prompts, func(i int) int { return len(prompts[i]) - 1 }, 0)
	return s
}

// step runs branches that wait, then prompts, about scoreRows rows of both.
func (s *choiceScorer) step() error {
	s.d.eager.begin()
	s.rows, s.scored = s.rows[:0], s.scored[:0]
	used := s.chooseBranches()
	s.addBranches(used)
	s.pieces = s.feed.fill(s.pieces[:0], scoreRows-used, len(s.out))
	for _, p := range s.pieces {
		if p.whole {
			s.want(p.row+p.to-p.from-1, score{p.index, 0, s.all})
			s.waiting = append(s.waiting, &prompted{intake: p.intake})
		}
	}
	h := s.d.run()
	for _, r := range s.runs {
		r.cache.release()
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(p *prompted) bool {
		if p.done < len(s.branches) {
			return false
		}
		s.feed.end(p.intake)
		return true
	})
	return s.d.eachLogProbs(h, s.rows, s.add)
}

// chooseBranches makes runs of the next branches, scoreRows rows or one run,
// and counts the rows.
func (s *choiceScorer) chooseBranches() int {
	s.runs = s.runs[:0]
	rows := 0
	for _, p := range s.waiting {
		for ; p.done < len(s.branches); p.done++ {
			b := &s.branches[p.done]
			if rows > 0 && rows+len(b.tokens) > scoreRows {
				return rows
			}
			s.runs = append(s.runs, branchRun{b, p.index, p.cache.Fork(len(b.tokens))})
			rows += len(b.tokens)
		}
	}
	return rows
}

// addBranches adds the runs to the step. Their own rows lie in one segment.
func (s *choiceScorer) addBranches(rows int) {
	if rows == 0 {
		return
	}
	shared := s.d.memory.take(rows)
	at := 0
	for _, r := range s.runs {
		r.cache.continueIn(shared, at)
		row := s.d.eager.add(Run{Cache: r.cache, Tokens: r.branch.tokens})
		for j := range r.branch.tokens {
			s.want(row+j, score{r.prompt, j + 1, r.branch.with(j+1, s.choices)})
		}
		at += len(r.branch.tokens)
	}
}

// want asks for the log-probabilities of a row of the step.
func (s *choiceScorer) want(row int, what score) {
	if len(what.choices) > 0 {
		s.rows, s.scored = append(s.rows, int32(row)), append(s.scored, what)
	}
}

// add adds what row i of the wanted ones says to the choices' sums.
func (s *choiceScorer) add(i int, logProbs []float32) error {
	r := s.scored[i]
	if err := finite(logProbs); err != nil {
		return fmt.Errorf("prompt %d: token %d of the choices: %w", r.prompt, r.at, err)
	}
	for _, c := range r.choices {
		s.out[r.prompt][c] += float64(logProbs[s.choices[c][r.at]])
	}
	return nil
}

// branch is a beginning that several choices share: all their tokens but the last.
type branch struct {
	tokens  []int32
	choices []int // longest first
}

// with returns the choices that have a token at.
func (b *branch) with(at int, choices [][]int32) []int {
	n := len(b.choices)
	for n > 0 && len(choices[b.choices[n-1]]) <= at {
		n--
	}
	return b.choices[:n]
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
