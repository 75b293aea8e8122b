package datasets

import (
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// Statistics describes the examples of one split.
type Statistics struct {
	PromptChars   Spread `json:"prompt_chars"`
	PromptWords   Spread `json:"prompt_words"` // runs of characters that are no white space
	ResponseChars Spread `json:"response_chars"`
	ResponseWords Spread `json:"response_words"`
	// Labels counts the examples of each response, if those of all splits are
	// labels: Dataset.Labels has them.
	Labels map[string]int `json:"labels,omitempty"`
}

// Spread says how lengths are distributed. Min, Mean and Max are exact, and so
// are percentiles below 512; others are at most 0.4 % too small.
type Spread struct {
	Min  int     `json:"min"`
	Mean float64 `json:"mean"`
	P50  int     `json:"p50"`
	P95  int     `json:"p95"`
	P99  int     `json:"p99"`
	Max  int     `json:"max"`
}

// histogram counts lengths: below 512 each on its own, above by their upper nine
// bits.
type histogram struct {
	counts   []int // by bucket
	n        int
	sum      float64
	min, max int
}

const histogramBits = 8

func bucketOf(v int) int {
	shift := max(0, bits.Len(uint(v))-histogramBits-1)
	return shift<<histogramBits + v>>shift
}

// bucketStart is the smallest length of a bucket.
func bucketStart(b int) int {
	shift := max(0, b>>histogramBits-1)
	return (b - shift<<histogramBits) << shift
}

func (h *histogram) add(v int) {
	b := bucketOf(v)
	for len(h.counts) <= b {
		h.counts = append(h.counts, make([]int, b+1-len(h.counts))...)
	}
	h.counts[b]++
	if h.n == 0 || v < h.min {
		h.min = v
	}
	h.max = max(h.max, v)
	h.sum += float64(v)
	h.n++
}

// percentile is the length that p percent of the lengths do not exceed.
func (h *histogram) percentile(p int) int {
	rank := (h.n*p + 99) / 100 // of the length, from 1
	for b, n := range h.counts {
		if rank -= n; rank <= 0 && n > 0 {
			return max(h.min, bucketStart(b))
		}
	}
	return 0
}

func (h *histogram) spread() Spread {
	if h.n == 0 {
		return Spread{}
	}
	return Spread{Min: h.min, Mean: h.sum / float64(h.n), P50: h.percentile(50), P95: h.percentile(95), P99: h.percentile(99), Max: h.max}
}

// measure counts the lengths of a split's texts.
type measure struct{ promptChars, promptWords, responseChars, responseWords histogram }

func (m *measure) add(e *Example, times int) {
	promptChars, promptWords := countText(e.Prompt)
	responseChars, responseWords := countText(e.Response)
	for range times {
		m.promptChars.add(promptChars)
		m.promptWords.add(promptWords)
		m.responseChars.add(responseChars)
		m.responseWords.add(responseWords)
	}
}

func (m *measure) statistics() Statistics {
	return Statistics{PromptChars: m.promptChars.spread(), PromptWords: m.promptWords.spread(),
		ResponseChars: m.responseChars.spread(), ResponseWords: m.responseWords.spread()}
}

// countText counts the characters and words of a text.
func countText(text string) (chars, words int) {
	before := uint8(1) // 1 if white space, or nothing, is before
	for i := 0; i < len(text); {
		space, size := uint8(0), 1
		if c := text[i]; c < utf8.RuneSelf {
			space = asciiSpace[c]
		} else {
			var r rune
			if r, size = utf8.DecodeRuneInString(text[i:]); unicode.IsSpace(r) {
				space = 1
			}
		}
		i += size
		chars++
		words += int(before &^ space)
		before = space
	}
	return chars, words
}

var asciiSpace = [utf8.RuneSelf]uint8{' ': 1, '\t': 1, '\n': 1, '\v': 1, '\f': 1, '\r': 1}

// labelCounts counts responses until they are too many or too long for labels.
type labelCounts struct {
	counts map[string]map[string]int // by response and split; nil once they are no labels
	bytes  int
}

const (
	maxLabels     = 1000
	maxLabelBytes = 1 << 20 // of all labels
)

func (l *labelCounts) add(split, response string, times int) {
	if l.counts == nil || response == "" {
		return
	}
	of, ok := l.counts[response]
	if !ok {
		l.bytes += len(response)
		if len(l.counts) == maxLabels || l.bytes > maxLabelBytes {
			l.counts = nil
			return
		}
		of = map[string]int{}
		l.counts[response] = of
	}
	of[split] += times
}
