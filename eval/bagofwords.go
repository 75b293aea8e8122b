package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/retort-ml/retort/datasets"
)

// BagOfWords is what a trivial model reaches: multinomial logistic regression on words and
// pairs of neighbouring words, weighted by tf-idf. It is a Subject that scores labels it
// was trained on; it does not score other responses. It is safe for concurrent use.
type BagOfWords struct {
	grams  *vocabulary
	labels map[string]int // index of each training label
	names  []string       // labels, sorted
	// weights (F+1,L) holds one row per feature and one last row of biases.
	weights []float64
}

const (
	bagOfWordsStream = 0x776f726473 // "words": the shuffling draws
	bagOfWordsEpochs = 30
	bagOfWordsRate   = 0.5     // first AdaGrad step
	bagOfWordsC      = 10.0    // inverse strength of the L2 penalty, as scikit-learn's C
	maxParameters    = 1 << 24 // features × labels, 8 bytes each, twice while training
)

// TrainBagOfWords fits the baseline to the prompts and responses of train by AdaGrad, in
// an order drawn with seed: the same examples and seed give the same model. It costs
// epochs × words × labels operations and stops when ctx ends. Responses must form a label
// set of at most 1000.
func TrainBagOfWords(ctx context.Context, train []datasets.Example, seed uint64) (*BagOfWords, error) {
	if len(train) == 0 {
		return nil, errors.New("train bag-of-words: no examples")
	}
	m := &BagOfWords{labels: map[string]int{}}
	for _, e := range train {
		if _, seen := m.labels[e.Response]; !seen {
			m.labels[e.Response] = 0
			m.names = append(m.names, e.Response)
		}
		if len(m.names) > maxDistinct {
			return nil, fmt.Errorf("train bag-of-words: the %d examples have more than %d distinct responses, which is no label set",
				len(train), maxDistinct)
		}
	}
	slices.Sort(m.names)
	for i, name := range m.names {
		m.labels[name] = i
	}
	m.grams = newVocabulary(datasets.Questions(train), maxParameters/len(m.names))
	m.weights = make([]float64, (m.grams.size()+1)*len(m.names))
	if err := m.fit(ctx, train, seed); err != nil {
		return nil, fmt.Errorf("train bag-of-words: %w", err)
	}
	return m, nil
}

// Parameters is the number of trained weights.
func (m *BagOfWords) Parameters() int64 { return int64(len(m.weights)) }

// fit minimizes the sum of cross-entropies plus |weights|²/(2C), biases not penalized. The
// penalty of a feature is paid in equal parts by the examples that have it, so that a step
// touches only the features of its example.
func (m *BagOfWords) fit(ctx context.Context, train []datasets.Example, seed uint64) error {
	inputs := make([][]feature, len(train))
	for i, e := range train {
		inputs[i] = m.grams.features(e.Prompt)
	}
	classes := len(m.names)
	squares := make([]float64, len(m.weights)) // AdaGrad's sums of squared gradients
	slope := make([]float64, classes)
	rng := rand.New(rand.NewPCG(seed, bagOfWordsStream))
	for range bagOfWordsEpochs {
		for step, i := range rng.Perm(len(train)) {
			if step%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			m.logProbs(inputs[i], slope)
			for k := range slope {
				slope[k] = math.Exp(slope[k])
			}
			slope[m.labels[train[i].Response]]--
			for _, f := range inputs[i] {
				decay := 0.0
				if f.documents > 0 {
					decay = 1 / (bagOfWordsC * float64(f.documents))
				}
				at := f.id * classes
				row, sums := m.weights[at:at+classes], squares[at:at+classes]
				for k, s := range slope {
					g := s*f.value + decay*row[k]
					sums[k] += g * g
					row[k] -= bagOfWordsRate * g / (math.Sqrt(sums[k]) + 1e-8)
				}
			}
		}
	}
	return nil
}

// logProbs fills out (L) with the log-probabilities of the labels.
func (m *BagOfWords) logProbs(input []feature, out []float64) {
	clear(out)
	for _, f := range input {
		for k, w := range m.weights[f.id*len(out) : (f.id+1)*len(out)] {
			out[k] += f.value * w
		}
	}
	top, sum := slices.Max(out), 0.0
	for _, v := range out {
		sum += math.Exp(v - top)
	}
	norm := top + math.Log(sum)
	for k := range out {
		out[k] -= norm
	}
}

// ScoreChoices gives each choice its log-probability among the training labels, minus
// infinity for a choice that is none of them; every choice counts as one token.
func (m *BagOfWords) ScoreChoices(ctx context.Context, prompts []datasets.Question, choices []string) (nats [][]float64, tokens []int, err error) {
	logProbs := make([]float64, len(m.names))
	for _, prompt := range prompts {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		m.logProbs(m.grams.features(prompt.Text), logProbs)
		row := make([]float64, len(choices))
		for k, choice := range choices {
			row[k] = math.Inf(-1)
			if at, known := m.labels[choice]; known {
				row[k] = logProbs[at]
			}
		}
		nats = append(nats, row)
	}
	return nats, slices.Repeat([]int{1}, len(choices)), nil
}

// Generate answers with the most likely training label, one token.
func (m *BagOfWords) Generate(ctx context.Context, prompts []datasets.Question, _ int) ([]Generation, error) {
	out := make([]Generation, len(prompts))
	logProbs := make([]float64, len(m.names))
	for i, prompt := range prompts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m.logProbs(m.grams.features(prompt.Text), logProbs)
		best, _ := firstMax(logProbs)
		out[i] = Generation{Text: m.names[best], Tokens: 1, Finish: FinishStop}
	}
	return out, nil
}

// ScoreResponses is not offered: probabilities over labels are not comparable with those
// over texts.
func (m *BagOfWords) ScoreResponses(context.Context, []datasets.Question, []string) ([]Scored, error) {
	return nil, fmt.Errorf("bag-of-words gives probabilities to labels only, not to texts: %w", errors.ErrUnsupported)
}

// CountTokens counts words.
func (m *BagOfWords) CountTokens(_ context.Context, prompts []datasets.Question) ([]int, error) {
	counts := make([]int, len(prompts))
	for i, prompt := range prompts {
		counts[i] = len(wordsOf(prompt.Text))
	}
	return counts, nil
}
