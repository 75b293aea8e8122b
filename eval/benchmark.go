package eval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"unicode/utf8"

	"github.com/retort-ml/retort/datasets"
)

// limitStream separates the draw of Options.Limit from other draws of the same seed.
const limitStream = 0x6c696d6974 // "limit"

// maxDistinct is the number of distinct responses up to which they are taken for a label
// set. Beyond it, scoring every response against every prompt is a mistake, not a wish.
const maxDistinct = 1000

// benchmark is what every model is asked: items, choices and options.
type benchmark struct {
	o      Options // resolved, Labels too when choices are scored
	items  []datasets.Example
	labels []string
	truth  []int // (n) index in labels of each item's reference; only when choices are scored
}

func newBenchmark(o Options, items []datasets.Example) (*benchmark, error) {
	if len(items) == 0 {
		return nil, errors.New("no items to evaluate")
	}
	for _, item := range items {
		switch {
		case item.Response == "":
			return nil, fmt.Errorf("%s: response: empty", itemName(item))
		case !utf8.ValidString(item.ID + item.Prompt + item.Response):
			return nil, fmt.Errorf("%s: its text is not valid UTF-8", itemName(item))
		}
	}
	b := &benchmark{o: o, items: items}
	if b.needs(passChoices) {
		// Labels come from all items, so that a limit does not make the task easier.
		if err := b.setLabels(); err != nil {
			return nil, err
		}
	}
	if err := b.setTruth(); err != nil {
		return nil, err
	}
	b.draw()
	return b, nil
}

func (b *benchmark) needs(p pass) bool {
	return slices.ContainsFunc(b.metrics(), func(m metric) bool { return m.pass == p })
}

// metrics are the metrics asked for, in the order asked; Validate has checked the names.
func (b *benchmark) metrics() []metric {
	var chosen []metric
	for _, name := range b.o.Metrics {
		if m, err := metricNamed(name); err == nil {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

func (b *benchmark) setLabels() error {
	if len(b.o.Labels) == 0 {
		distinct := map[string]bool{}
		for _, item := range b.items {
			distinct[item.Response] = true
		}
		if len(distinct) > maxDistinct {
			return fmt.Errorf("labels: the %d items have %d distinct responses, which is no label set: list the labels, or use exact_match",
				len(b.items), len(distinct))
		}
		for label := range distinct {
			b.o.Labels = append(b.o.Labels, label)
		}
		slices.Sort(b.o.Labels)
	}
	if len(b.o.Labels) < 2 {
		return fmt.Errorf("labels: every item has the response %.80q, so there is nothing to choose: list the labels", b.o.Labels[0])
	}
	b.labels = b.o.Labels
	return nil
}

func (b *benchmark) setTruth() error {
	if b.labels == nil {
		return nil
	}
	index := make(map[string]int, len(b.labels))
	for i, label := range b.labels {
		index[label] = i
	}
	b.truth = make([]int, len(b.items))
	for i, item := range b.items {
		at, ok := index[item.Response]
		if !ok {
			return fmt.Errorf("%s: response %.80q is not one of the %d labels", itemName(item), item.Response, len(b.labels))
		}
		b.truth[i] = at
	}
	return nil
}

// draw keeps Limit items, drawn with Seed: the first ones would be one class of a sorted file.
func (b *benchmark) draw() {
	if b.o.Limit == 0 || b.o.Limit >= len(b.items) {
		return
	}
	rng := rand.New(rand.NewPCG(b.o.Seed, limitStream))
	kept := rng.Perm(len(b.items))[:b.o.Limit]
	slices.Sort(kept)
	items, truth := make([]datasets.Example, len(kept)), make([]int, len(kept))
	for to, from := range kept {
		items[to] = b.items[from]
		if b.truth != nil {
			truth[to] = b.truth[from]
		}
	}
	b.items, b.truth = items, truth
}

// hash is the SHA-256 of the items: ID, prompt and response of each, every text preceded
// by its length in bytes as 8 little-endian bytes.
func (b *benchmark) hash() string {
	h := sha256.New()
	for _, item := range b.items {
		for _, text := range []string{item.ID, item.Prompt, item.Response} {
			h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
			h.Write([]byte(text))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// itemName names an item in errors by its id and where it was read from.
func itemName(e datasets.Example) string {
	if e.File == "" {
		return fmt.Sprintf("item %.80q", e.ID)
	}
	return fmt.Sprintf("item %.80q (%s: row %d)", e.ID, e.File, e.Row)
}
