package refine

import (
	"math"
	"slices"
)

// Pair is two of the answers to one prompt, by position.
type Pair struct{ I, J int }

// Pairs are all pairs of n texts that differ, I < J: equal texts need no judge.
func Pairs(texts []string) []Pair {
	var pairs []Pair
	for i := range texts {
		for j := i + 1; j < len(texts); j++ {
			if texts[i] != texts[j] {
				pairs = append(pairs, Pair{i, j})
			}
		}
	}
	return pairs
}

// Duel is a pair judged in both orders.
type Duel struct {
	Pair
	Straight Verdict // I was shown first
	Swapped  Verdict // J was shown first
}

// Outcome is what both verdicts say: FirstWins is I. Verdicts that do not agree
// are a tie, as is one verdict alone, which may be due to the order. No verdict
// at all is none.
func (d Duel) Outcome() Verdict {
	switch {
	case d.Straight == NoVerdict && d.Swapped == NoVerdict:
		return NoVerdict
	case d.Straight == FirstWins && d.Swapped == SecondWins:
		return FirstWins
	case d.Straight == SecondWins && d.Swapped == FirstWins:
		return SecondWins
	}
	return Tie
}

// Bias sums up how a judge's verdicts depend on the order. Add sums it up over prompts.
type Bias struct {
	Pairs      int // with a verdict in both orders
	First      int // pairs whose first-shown answer won both times
	Second     int // pairs whose second-shown answer won both times
	Consistent int // pairs with one outcome in both orders
	NoVerdict  int // verdicts, of two a pair, that could not be read
}

// Add counts a pair.
func (b *Bias) Add(d Duel) {
	for _, v := range []Verdict{d.Straight, d.Swapped} {
		if v == NoVerdict {
			b.NoVerdict++
		}
	}
	if d.Straight == NoVerdict || d.Swapped == NoVerdict {
		return
	}
	b.Pairs++
	switch {
	case d.Outcome() != Tie, d.Straight == Tie && d.Swapped == Tie:
		b.Consistent++
	case d.Straight == FirstWins && d.Swapped == FirstWins:
		b.First++
	case d.Straight == SecondWins && d.Swapped == SecondWins:
		b.Second++
	}
}

// Rate is the share of pairs in which the place alone decided; 0 without pairs.
func (b Bias) Rate() float64 { return float64(b.First+b.Second) / float64(max(1, b.Pairs)) }

// Ranking is the order of the answers to one prompt, best first.
type Ranking struct {
	Order    []int     // positions
	Strength []float64 // by position, summing to 1: i beats j with Strength[i]/(Strength[i]+Strength[j])
}

// prior is the weight of a tie that each two answers are given beforehand: it
// keeps the strength of an answer that won or lost all its duels finite.
const prior = 0.1

// Rank orders n answers by their duels: Bradley-Terry strengths (1952,
// doi.org/10.2307/2334029), ties being half a win each, by the iteration of
// Hunter 2004 (doi.org/10.1214/aos/1079120141). Equal strengths keep the
// answers' order. It panics if a duel names an answer that is not there.
func Rank(n int, duels []Duel) Ranking {
	wins, games := make([]float64, n), make([][]float64, n)
	for i := range games {
		games[i] = make([]float64, n)
		wins[i] = prior / 2 * float64(n-1)
		for j := range games[i] {
			games[i][j] = prior
		}
	}
	for _, d := range duels {
		share := map[Verdict]float64{FirstWins: 1, Tie: 0.5}[d.Outcome()]
		if d.Outcome() == NoVerdict || d.I == d.J {
			continue
		}
		wins[d.I] += share
		wins[d.J] += 1 - share
		games[d.I][d.J]++
		games[d.J][d.I]++
	}
	r := Ranking{Strength: strengths(wins, games)}
	for i := range n {
		r.Order = append(r.Order, i)
	}
	slices.SortStableFunc(r.Order, func(a, b int) int {
		return compareStrength(r.Strength[b], r.Strength[a])
	})
	return r
}

// compareStrength takes what rounding makes different for equal.
func compareStrength(a, b float64) int {
	switch x, y := math.Round(a*1e9), math.Round(b*1e9); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// strengths maximizes the likelihood of the wins, from equal strengths on.
func strengths(wins []float64, games [][]float64) []float64 {
	n := len(wins)
	p, next := make([]float64, n), make([]float64, n)
	for i := range p {
		p[i] = 1 / float64(n)
	}
	for range 10_000 {
		sum := 0.0
		for i := range p {
			expected := 0.0
			for j := range p {
				if i != j {
					expected += games[i][j] / (p[i] + p[j])
				}
			}
			next[i] = p[i]
			if expected > 0 {
				next[i] = wins[i] / expected
			}
			sum += next[i]
		}
		change := 0.0
		for i := range p {
			next[i] /= sum
			change = max(change, math.Abs(next[i]-p[i]))
		}
		p, next = next, p
		if change < 1e-13 {
			break
		}
	}
	return p
}
