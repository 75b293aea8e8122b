package datasets

import (
	"fmt"
	"slices"
)

// TokenStatistics are about the lengths of sequences, in tokens.
type TokenStatistics struct {
	Total   Lengths `json:"total"`
	Prompt  Lengths `json:"prompt"`  // before the response, or the last turn
	Learned Lengths `json:"learned"` // in all of the sequence
}

// Lengths says how many tokens sequences have. A percentile is a length that
// occurs: of n sequences the ⌈p·n⌉-th shortest.
type Lengths struct {
	Min  int     `json:"min"`
	Mean float64 `json:"mean"`
	P50  int     `json:"p50"`
	P95  int     `json:"p95"`
	Max  int     `json:"max"`
}

func (l Lengths) String() string {
	return fmt.Sprintf("min %d, mean %.1f, p50 %d, p95 %d, max %d", l.Min, l.Mean, l.P50, l.P95, l.Max)
}

// LengthCounts counts sequences by their lengths.
type LengthCounts struct{ total, prompt, learned []int64 } // by length

// Add counts a sequence.
func (c *LengthCounts) Add(total, prompt, learned int) {
	for _, p := range []struct {
		counts *[]int64
		length int
	}{{&c.total, total}, {&c.prompt, prompt}, {&c.learned, learned}} {
		if p.length >= len(*p.counts) {
			*p.counts = append(slices.Grow(*p.counts, p.length+1-len(*p.counts)), make([]int64, p.length+1-len(*p.counts))...)
		}
		(*p.counts)[p.length]++
	}
}

// Statistics are those of the sequences counted; zeros without any.
func (c *LengthCounts) Statistics() TokenStatistics {
	return TokenStatistics{Total: lengthsOf(c.total), Prompt: lengthsOf(c.prompt), Learned: lengthsOf(c.learned)}
}

func lengthsOf(counts []int64) (l Lengths) {
	var n, sum int64
	for length, count := range counts {
		n, sum = n+count, sum+int64(length)*count
	}
	if n == 0 {
		return l
	}
	at := func(percent int64) int {
		left := (percent*n + 99) / 100
		for length, count := range counts {
			if left -= count; left <= 0 && count > 0 {
				return length
			}
		}
		return len(counts) - 1
	}
	return Lengths{Min: at(0), Mean: float64(sum) / float64(n), P50: at(50), P95: at(95), Max: at(100)}
}
