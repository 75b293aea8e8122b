package eval

import (
	"cmp"
	"math"
	"slices"

	"github.com/retort-ml/retort/datasets"
)

// feature is one entry of a sparse input.
type feature struct {
	id        int
	value     float64
	documents int // training prompts that have it; 0 for the bias
}

// vocabulary numbers the words and pairs of training prompts.
type vocabulary struct {
	ids       map[string]int
	documents []int     // (F) training prompts that have the feature
	idf       []float64 // (F) 1 + ln((1+prompts)/(1+documents)), as scikit-learn's
}

// newVocabulary keeps at most limit features, those that most prompts have; among equals
// the first in byte order.
func newVocabulary(prompts []datasets.Question, limit int) *vocabulary {
	counts := map[string]int{}
	for _, prompt := range prompts {
		seen := map[string]bool{}
		for _, gram := range gramsOf(prompt.Text) {
			if !seen[gram] {
				seen[gram] = true
				counts[gram]++
			}
		}
	}
	grams := make([]string, 0, len(counts))
	for gram := range counts {
		grams = append(grams, gram)
	}
	slices.SortFunc(grams, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	v := &vocabulary{ids: map[string]int{}}
	for id, gram := range grams[:min(limit, len(grams))] {
		v.ids[gram] = id
		v.documents = append(v.documents, counts[gram])
		v.idf = append(v.idf, 1+math.Log(float64(1+len(prompts))/float64(1+counts[gram])))
	}
	return v
}

func (v *vocabulary) size() int { return len(v.idf) }

// features is the tf-idf vector of a prompt, scaled to length 1, in the order of ids, and
// last the bias.
func (v *vocabulary) features(prompt string) []feature {
	counts := map[int]int{}
	for _, gram := range gramsOf(prompt) {
		if id, known := v.ids[gram]; known {
			counts[id]++
		}
	}
	out := make([]feature, 0, len(counts)+1)
	for id, count := range counts {
		out = append(out, feature{id: id, value: float64(count) * v.idf[id], documents: v.documents[id]})
	}
	// The order of a map would change the rounding of sums from run to run.
	slices.SortFunc(out, func(a, b feature) int { return cmp.Compare(a.id, b.id) })
	sum := 0.0
	for _, f := range out {
		sum += f.value * f.value
	}
	for i := range out {
		out[i].value /= math.Sqrt(sum)
	}
	return append(out, feature{id: v.size(), value: 1})
}
