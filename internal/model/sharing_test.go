package model

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/random"

	"gorgonia.org/tensor"
)

// watched is a device that counts rows and arrays.
type watched struct {
	compute.Device
	rows    int // tokens embedded
	longest int // most in one step
	arrays  int // made
	// sequences is the most of a step. vectors are the rows of calls of MatVec
	// and matrices those of MatMul and of MatMulSums' products, in turn.
	sequences         int
	vectors, matrices []int
}

func (w *watched) New(shape ...int) *tensor.Dense {
	w.arrays++
	return w.Device.New(shape...)
}

func (w *watched) Embed(y compute.Mat, weight *compute.Weight, ids []int32, scale float32) {
	w.rows, w.longest = w.rows+len(ids), max(w.longest, len(ids))
	w.Device.Embed(y, weight, ids, scale)
}

func (w *watched) MatVec(y, x compute.Mat, weight *compute.Weight, alpha float32, add bool) {
	w.vectors = append(w.vectors, x.Rows)
	// Not MatMul's bytes: a row that changes sides would show.
	w.Device.MatMul(y, x, weight, alpha*(1+1e-6), add)
}

func (w *watched) MatMul(y, x compute.Mat, weight *compute.Weight, alpha float32, add bool) {
	w.matrices = append(w.matrices, x.Rows)
	w.Device.MatMul(y, x, weight, alpha, add)
}

func (w *watched) MatMulSums(products []compute.Product) {
	for _, p := range products {
		w.matrices = append(w.matrices, p.Y.Rows)
	}
	w.Device.MatMulSums(products)
}

func (w *watched) AttentionCached(out, q compute.Mat, sequences []compute.CachedSequence, a compute.AttentionShape) {
	w.sequences = max(w.sequences, len(sequences))
	w.Device.AttentionCached(out, q, sequences, a)
}

// long makes a small model for long sequences.
func long(t testing.TB, dev compute.Device) *Model {
	t.Helper()
	m, err := New(dev, Config{ModelType: "llama", HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, HeadDim: 8, VocabSize: 11, MaxPositionEmbeddings: 2000, RMSNormEps: 1e-5, RopeTheta: 1000,
		HiddenAct: "silu", InitializerRange: 0.4, BOS: -1, PAD: -1}, random.Stream(8, "long"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// trees are prompts that share beginnings, among them one longer than a step.
func trees() [][]int32 {
	list := append(randomTree(random.Stream(11, "prompts"), 25, 200), sequence("p", 700, "a", 20), sequence("p", 700, "b", 33),
		sequence("p", 700), sequence("p", 300, "c", 1), sequence("p", 1100), sequence("d", 1))
	return append(list, list[3], list[26])
}

func answersOf(t *testing.T, d *Decoder, prompts [][]int32, o GenerateOptions) []Answer {
	t.Helper()
	answers := make([]Answer, len(prompts))
	begun := make([]bool, len(prompts))
	o.Begin = func(i int) {
		if begun[i] {
			t.Errorf("prompt %d is begun twice", i)
		}
		begun[i] = true
	}
	err := d.Generate(t.Context(), prompts, o, func(i int, a Answer) error {
		if answers[i].Tokens != nil || !begun[i] {
			t.Errorf("prompt %d: begun %v, answer %v before", i, begun[i], answers[i].Tokens)
		}
		answers[i] = a
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

// The answers are the same bits with any batch, order and number of threads,
// and whether a prompt's beginning was computed for it, for another, or in pieces.
func TestAnswersDoNotDependOnWhatIsShared(t *testing.T) {
	prompts := trees()
	o := GenerateOptions{Sampling: Sampling{Temperature: 1.2, MinP: 0.01, RepetitionPenalty: 1.1}, MaxTokens: 40, TopK: 2, Stop: []int32{4}}
	for i := range prompts {
		o.Seeds = append(o.Seeds, uint64(i))
	}
	want := make([]Answer, len(prompts))
	alone := &watched{Device: cpu.New(1)}
	d := NewDecoder(long(t, alone))
	for i := range prompts {
		one := o
		one.Seeds = o.Seeds[i : i+1]
		want[i] = answersOf(t, d, prompts[i:i+1], one)[0]
	}
	for _, c := range []struct{ batch, threads int }{{1, 1}, {7, 2}, {32, 3}} {
		dev := &watched{Device: cpu.New(c.threads)}
		d := NewDecoder(long(t, dev))
		order := makeRange(len(prompts))
		for try := range 2 {
			mixed := o
			mixed.Batch, mixed.Seeds = c.batch, nil
			var list [][]int32
			for _, i := range order {
				list, mixed.Seeds = append(list, prompts[i]), append(mixed.Seeds, o.Seeds[i])
			}
			for j, a := range answersOf(t, d, list, mixed) {
				if !reflect.DeepEqual(a, want[order[j]]) {
					t.Errorf("batch %d, try %d: answer %d is\n%v, want\n%v", c.batch, try, order[j], a, want[order[j]])
				}
			}
			slices.Reverse(order)
		}
		if dev.rows/2 >= alone.rows-1500 {
			t.Errorf("batch %d: %d rows, alone %d", c.batch, dev.rows/2, alone.rows)
		}
		if dev.longest > prefillRows+c.batch {
			t.Errorf("batch %d: a step of %d rows", c.batch, dev.longest)
		}
		if dev.sequences > c.batch || dev.sequences < min(c.batch, 16) {
			t.Errorf("batch %d: %d sequences in a step", c.batch, dev.sequences)
		}
	}
}

// Runs of one step: prompts and generated tokens, in any mixture.
func TestRowsOfAMixedStepAreSeparate(t *testing.T) {
	dev := &watched{Device: cpu.New(2)}
	m := long(t, dev)
	sequences := [][]int32{sequence("a", 40), sequence("b", 40), sequence("c", 40), sequence("d", 40)}
	// From place 30 on, sequences 0 and 1 are generated.
	play := func(together [][]int) map[string][]float32 {
		d := NewDecoder(m)
		caches := make([]*Cache, len(sequences))
		for i := range caches {
			caches[i] = d.NewCache(0)
		}
		out := map[string][]float32{}
		for _, which := range together {
			var runs []Run
			for _, i := range which {
				at := caches[i].Len()
				if at < 30 {
					runs = append(runs, Run{Cache: caches[i], Tokens: sequences[i][:30]})
				} else {
					runs = append(runs, Run{Cache: caches[i], Tokens: sequences[i][at : at+1], Generated: i < 2})
				}
			}
			h, err := d.Step(runs)
			if err != nil {
				t.Fatal(err)
			}
			row := 0
			for _, generated := range []bool{false, true} {
				for j, r := range runs {
					if r.Generated == generated {
						row += len(r.Tokens)
						key := fmt.Sprint(which[j], " ", r.Cache.Len())
						out[key] = slices.Clone(dev.Host(d.Logits(h, []int32{int32(row - 1)})))
					}
				}
			}
		}
		return out
	}
	want := play([][]int{{0}, {1}, {2}, {3}, {0}, {1}, {2}, {3}, {0}, {1}, {0}, {1}})
	for name, got := range map[string]map[string][]float32{
		"all at once":       play([][]int{{3, 0, 2, 1}, {2, 0, 3, 1}, {1, 0}, {0, 1}}),
		"prompts beside":    play([][]int{{0}, {0, 1}, {0, 2, 1}, {1, 3, 0}, {2, 1, 3}}),
		"generated between": play([][]int{{1, 0}, {1, 2, 0}, {0, 3, 1}, {2, 0, 3}, {1}}),
	} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: other logits than one by one", name)
		}
	}
}

// Tokens that were generated go through the products for generating, side by
// side; prompts, scores and the logits that callers ask for do not.
func TestGeneratedTokensAreOneProduct(t *testing.T) {
	dev := &watched{Device: cpu.New(1)}
	d := NewDecoder(long(t, dev))
	calls := func(steps ...int) (list []int) { // 7 matrices in each of 2 layers, and the head
		for _, rows := range steps {
			list = append(list, slices.Repeat([]int{rows}, 14)...)
		}
		return list
	}
	caches := []*Cache{d.NewCache(0), d.NewCache(0), d.NewCache(0)}
	for _, runs := range [][]Run{
		{{Cache: caches[0], Tokens: []int32{1, 2, 3}}, {Cache: caches[1], Tokens: []int32{1}}},
		{{Cache: caches[0], Tokens: []int32{1}, Generated: true}, {Cache: caches[2], Tokens: []int32{5, 6}}, {Cache: caches[1], Tokens: []int32{2}, Generated: true}},
		{{Cache: caches[0], Tokens: []int32{1}, Generated: true}},
	} {
		if _, err := d.Step(runs); err != nil {
			t.Fatal(err)
		}
	}
	if want := calls(4, 2); !slices.Equal(dev.matrices, want) {
		t.Errorf("prompts: products of %v rows, want %v", dev.matrices, want)
	}
	if want := calls(2, 1); !slices.Equal(dev.vectors, want) {
		t.Errorf("generated tokens: products of %v rows, want %v", dev.vectors, want)
	}
	dev.vectors, dev.matrices = nil, nil
	answersOf(t, d, [][]int32{sequence("a", 30), sequence("b", 4)}, GenerateOptions{MaxTokens: 2})
	if want := calls(34); !slices.Equal(dev.matrices, want) {
		t.Errorf("Generate's prompts: products of %v rows, want %v", dev.matrices, want)
	}
	if want := slices.Concat([]int{2}, calls(2), []int{2}); !slices.Equal(dev.vectors, want) {
		t.Errorf("Generate's tokens: products of %v rows, want %v", dev.vectors, want)
	}
	dev.vectors = nil
	if _, err := d.Score(t.Context(), [][]int32{{1, 2}}, []int{1}, 0); err != nil || dev.vectors != nil {
		t.Errorf("scoring: error %v, products for generating of %v rows", err, dev.vectors)
	}
}

// Scores are the same bits among others as alone, and rows are computed once.
func TestScoresDoNotDependOnWhatIsShared(t *testing.T) {
	dev := &watched{Device: cpu.New(2)}
	d := NewDecoder(long(t, dev))
	rng := random.Stream(5, "from")
	sequences := append(trees(), sequence("p", 1000, "e", 900)) // longer than a step
	from := make([]int, len(sequences))
	want := make([]Scored, len(sequences))
	for i, s := range sequences {
		from[i] = 1 + rng.IntN(len(s))
		if i%3 == 0 {
			from[i] = max(1, len(s)-5)
		}
		one, err := d.Score(t.Context(), sequences[i:i+1], from[i:i+1], 2)
		if err != nil {
			t.Fatal(err)
		}
		want[i] = one[0]
	}
	alone := dev.rows
	dev.rows, dev.longest = 0, 0
	got, err := d.Score(t.Context(), sequences, from, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("sequence %d from %d: %v, alone %v", i, from[i], got[i], want[i])
		}
	}
	if dev.rows > alone-1000 || dev.longest > scoreRows {
		t.Errorf("%d rows, alone %d; steps of up to %d", dev.rows, alone, dev.longest)
	}
}

func TestChoicesDoNotDependOnWhatIsShared(t *testing.T) {
	dev := &watched{Device: cpu.New(2)}
	d := NewDecoder(long(t, dev))
	prompts := trees()
	var choices [][]int32
	for i := range 40 {
		choices = append(choices, sequence(fmt.Sprint(i%17), 1+i%9))
	}
	var want [][]float64
	for i := range prompts {
		one, err := d.ScoreChoices(t.Context(), prompts[i:i+1], choices)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, one[0])
	}
	alone := dev.rows
	dev.rows, dev.longest = 0, 0
	got, err := d.ScoreChoices(t.Context(), prompts, choices)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("scores %v, alone %v", got, want)
	}
	if dev.rows > alone-1000 || dev.longest > scoreRows {
		t.Errorf("%d rows, alone %d; steps of up to %d", dev.rows, alone, dev.longest)
	}
}

// A second call finds the memory of the first.
func TestMemoryIsUsedAgain(t *testing.T) {
	dev := &watched{Device: cpu.New(2)}
	d := NewDecoder(long(t, dev))
	prompts := trees()[16:]
	o := GenerateOptions{MaxTokens: 70, Batch: 4}
	calls := []func() error{
		func() error { return d.Generate(t.Context(), prompts, o, func(int, Answer) error { return nil }) },
		func() error { _, err := d.ScoreChoices(t.Context(), prompts, prompts[:3]); return err },
	}
	for i, call := range calls {
		for range 3 {
			dev.arrays = 0
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
		if dev.arrays > 0 {
			t.Errorf("call %d made %d arrays the third time", i, dev.arrays)
		}
		users := 0
		for _, s := range d.memory.free {
			users += s.users
		}
		if users != 0 {
			t.Errorf("call %d: %d users of free segments", i, users)
		}
	}
}

// A cancel while a long prompt is being taken in.
func TestGenerateIsCanceledWithinAPrompt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dev := &watched{Device: cpu.New(1)}
	d := NewDecoder(long(t, dev))
	o := GenerateOptions{Begin: func(int) { cancel() }}
	err := d.Generate(ctx, [][]int32{sequence("a", 1900)}, o, func(int, Answer) error { return nil })
	if !errors.Is(err, context.Canceled) || dev.rows > prefillRows {
		t.Errorf("error %v after %d rows", err, dev.rows)
	}
	if got := answersOf(t, d, [][]int32{sequence("a", 30)}, GenerateOptions{MaxTokens: 3}); len(got[0].Tokens) != 3 {
		t.Errorf("%v after a cancel", got)
	}
}
