package datasets_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"sort"
	"sync"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

// sequences makes n sequences whose tokens are all different.
func sequences(n int) []datasets.Sequence {
	random := rand.New(rand.NewPCG(3, 4))
	out := make([]datasets.Sequence, n)
	token := int32(100)
	for i := range out {
		tokens := make([]int32, 2+random.IntN(30))
		for k := range tokens {
			tokens[k] = token
			token++
		}
		out[i] = datasets.Sequence{Tokens: tokens, PromptLen: 1 + random.IntN(len(tokens)-1), Example: 10 * i}
	}
	return out
}

func batches(t *testing.T, s []datasets.Sequence, o datasets.BatchOptions) *datasets.Batches {
	t.Helper()
	b, err := datasets.NewBatches(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// batchAt is batch i of an epoch.
func batchAt(t *testing.T, b *datasets.Batches, epoch, i int) datasets.Batch {
	t.Helper()
	batch, err := b.At(epoch, i)
	if err != nil {
		t.Error(err)
	}
	return batch
}

// supervised lists what an epoch learns: example, target, offset and weight.
func supervised(b *datasets.Batches, epoch int) []string {
	var all []string
	for batch, _ := range b.Epoch(epoch) {
		for i, w := range batch.Weights {
			if w > 0 {
				all = append(all, fmt.Sprint(batch.Example[i], batch.Targets[i], batch.Offset[i], w))
			}
		}
	}
	sort.Strings(all)
	return all
}

func TestBatchByHand(t *testing.T) {
	s := []datasets.Sequence{
		{Tokens: []int32{1, 5, 6, 7, 2}, PromptLen: 3, Example: 4},
		{Tokens: []int32{1, 8, 2}, PromptLen: 2, Example: 9},
	}
	b := batches(t, s, datasets.BatchOptions{Rows: 2, Length: 9, PromptWeight: 0.5, ResponseWeight: 1, InOrder: true})
	if b.Len(0) != 1 || b.Learned() != 6 {
		t.Fatalf("%d batches, %d learned, want 1 and 6", b.Len(0), b.Learned())
	}
	pad := func(values []int32, with int32) []int32 {
		for len(values) < 18 {
			values = append(values, with)
		}
		return values
	}
	want := datasets.Batch{
		B: 2, T: 9,
		Tokens:    pad([]int32{1, 5, 6, 7, 2, 1, 8, 2}, 0),
		Targets:   pad([]int32{5, 6, 7, 2, -1, 8, 2, -1}, -1),
		Positions: pad([]int32{0, 1, 2, 3, 4, 0, 1, 2}, 0),
		Segments:  pad([]int32{1, 1, 1, 1, 1, 2, 2, 2}, 0),
		Example:   pad([]int32{4, 4, 4, 4, 4, 9, 9, 9}, -1),
		Offset:    pad([]int32{-1, -1, 0, 1, -1, -1, 0, -1}, -1),
		Weights:   make([]float32, 18),
	}
	copy(want.Weights, []float32{0.5, 0.5, 1, 1, 0, 0.5, 1, 0})
	if got := batchAt(t, b, 0, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPackingLearnsTheSame(t *testing.T) {
	s := sequences(300)
	for _, o := range []datasets.BatchOptions{
		{Rows: 4, Length: 64, ResponseWeight: 1},
		{Rows: 3, Length: 31, PromptWeight: 0.3, ResponseWeight: 1},
		{Rows: 7, PromptWeight: 1},
	} {
		packed := batches(t, s, o)
		o.NoPacking = true
		single := batches(t, s, o)
		want := supervised(single, 0)
		if got := supervised(packed, 5); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: packed learns %d tokens, unpacked %d, or others", o, len(got), len(want))
		}
		if len(want) != packed.Learned() || len(want) != single.Learned() {
			t.Errorf("%+v: Learned says %d and %d, and there are %d", o, packed.Learned(), single.Learned(), len(want))
		}
	}
}

// Every token once an epoch, segments in one piece, positions from 0, and
// nothing learned across a boundary.
func TestLayout(t *testing.T) {
	s := sequences(200)
	total := 0
	for _, seq := range s {
		total += len(seq.Tokens)
	}
	b := batches(t, s, datasets.BatchOptions{Rows: 4, Length: 64, PromptWeight: 1, ResponseWeight: 1, Seed: 9})
	seen := map[int32]bool{}
	rows := 0
	for batch, _ := range b.Epoch(1) {
		for i, segment := range batch.Segments {
			first := i%batch.T == 0
			if segment == 0 {
				if batch.Weights[i] != 0 || batch.Targets[i] != -1 || batch.Example[i] != -1 || batch.Offset[i] != -1 || batch.Tokens[i] != 0 {
					t.Fatal("padding that is not empty")
				}
				continue
			}
			if first {
				rows++
			}
			if seen[batch.Tokens[i]] {
				t.Fatalf("token %d twice", batch.Tokens[i])
			}
			seen[batch.Tokens[i]] = true
			switch {
			case first && segment != 1, !first && segment != batch.Segments[i-1] && segment != batch.Segments[i-1]+1:
				t.Fatalf("segment %d after %d", segment, batch.Segments[max(i-1, 0)])
			case first || segment != batch.Segments[i-1]:
				if batch.Positions[i] != 0 {
					t.Fatal("a segment that does not begin at 0")
				}
			case batch.Positions[i] != batch.Positions[i-1]+1 || batch.Targets[i-1] != batch.Tokens[i]:
				t.Fatal("a position or target out of order")
			}
			if last := (i+1)%batch.T == 0 || batch.Segments[i+1] != segment; last && (batch.Targets[i] != -1 || batch.Weights[i] != 0) {
				t.Fatal("the end of a segment predicts something")
			}
		}
	}
	if len(seen) != total {
		t.Errorf("%d of %d tokens", len(seen), total)
	}
	if used := float64(total) / float64(rows*64); used < 0.9 {
		t.Errorf("rows are %.0f %% full", 100*used)
	}
}

// First fit by its definition, for the tree that finds it fast.
func TestPackingIsFirstFit(t *testing.T) {
	s := sequences(150)
	b := batches(t, s, datasets.BatchOptions{Rows: 1, Length: 40, ResponseWeight: 1, InOrder: true})
	var free []int
	want := map[int]int{} // example to row
	for _, seq := range s {
		r := 0
		for r < len(free) && free[r] < len(seq.Tokens) {
			r++
		}
		if r == len(free) {
			free = append(free, 40)
		}
		free[r] -= len(seq.Tokens)
		want[seq.Example] = r
	}
	if b.Len(0) != len(free) {
		t.Fatalf("%d rows, want %d", b.Len(0), len(free))
	}
	for r := range free {
		for _, e := range batchAt(t, b, 0, r).Example {
			if e >= 0 && want[int(e)] != r {
				t.Fatalf("example %d is in row %d, want %d", e, r, want[int(e)])
			}
		}
	}
}

func TestResumeAtCursor(t *testing.T) {
	s := sequences(120)
	o := datasets.BatchOptions{Rows: 4, Length: 40, ResponseWeight: 1, Seed: 7}
	var all []datasets.Batch
	for epoch := range 3 {
		for batch, _ := range batches(t, s, o).Epoch(epoch) {
			all = append(all, batch)
		}
	}
	fresh := batches(t, s, o)
	at := 0
	for epoch := range 3 {
		for i := range fresh.Len(epoch) {
			// A run that resumes has laid out nothing before.
			if got := batchAt(t, batches(t, s, o), epoch, i); !reflect.DeepEqual(got, all[at]) {
				t.Fatalf("epoch %d batch %d differs", epoch, i)
			}
			at++
		}
	}
	if at != len(all) {
		t.Errorf("%d batches, want %d", at, len(all))
	}
}

func TestShuffle(t *testing.T) {
	s := sequences(100)
	o := datasets.BatchOptions{Rows: 2, Length: 64, ResponseWeight: 1}
	first := func(seed uint64, epoch int, inOrder bool) []int32 {
		o.Seed, o.InOrder = seed, inOrder
		return batchAt(t, batches(t, s, o), epoch, 0).Tokens
	}
	if reflect.DeepEqual(first(0, 0, false), first(0, 1, false)) {
		t.Error("two epochs alike")
	}
	if reflect.DeepEqual(first(0, 0, false), first(1, 0, false)) {
		t.Error("two seeds alike")
	}
	if !reflect.DeepEqual(first(0, 0, true), first(1, 5, true)) || first(0, 0, true)[0] != s[0].Tokens[0] {
		t.Error("in order: not in order")
	}
}

func TestBatchesFromManyGoroutines(t *testing.T) {
	b := batches(t, sequences(50), datasets.BatchOptions{Rows: 2, Length: 64, ResponseWeight: 1})
	want := [2]datasets.Batch{batchAt(t, b, 0, 0), batchAt(t, b, 1, 0)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if !reflect.DeepEqual(batchAt(t, b, i%2, 0), want[i%2]) {
					t.Error("another batch")
				}
			}
		})
	}
	wg.Wait()
}

func TestNewBatchesErrors(t *testing.T) {
	good := sequences(3)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		s    []datasets.Sequence
		o    datasets.BatchOptions
		want []string
	}{
		{"nothing", nil, datasets.BatchOptions{Rows: 1, ResponseWeight: 1}, []string{"no sequences"}},
		{"options", good, datasets.BatchOptions{Rows: 0, Length: -1, PromptWeight: -1, ResponseWeight: nan},
			[]string{"rows: 0", "length: -1", "prompt weight: -1", "response weight: NaN"}},
		{"too long", good, datasets.BatchOptions{Rows: 1, Length: 1, ResponseWeight: 1}, []string{"example 0:", "tokens in rows of 1"}},
		{"empty sequence", []datasets.Sequence{{Example: 3}}, datasets.BatchOptions{Rows: 1, ResponseWeight: 1}, []string{"example 3: 0 tokens"}},
		{"prompt past the end", []datasets.Sequence{{Tokens: []int32{1}, PromptLen: 2}}, datasets.BatchOptions{Rows: 1, ResponseWeight: 1}, []string{"a prompt of 2"}},
		{"huge batch", good, datasets.BatchOptions{Rows: 1 << 40, ResponseWeight: 1}, []string{"want at most"}},
		{"no weights", good, datasets.BatchOptions{Rows: 1}, []string{"no supervised tokens"}},
		{"prompts only", []datasets.Sequence{{Tokens: []int32{1, 2}, PromptLen: 2}}, datasets.BatchOptions{Rows: 1, ResponseWeight: 1}, []string{"no supervised tokens"}},
	} {
		_, err := datasets.NewBatches(c.s, c.o)
		wantError(t, c.name, err, c.want...)
	}
	if _, err := datasets.NewBatches(good, datasets.BatchOptions{Rows: 1}); !errors.Is(err, datasets.ErrNoTokens) {
		t.Errorf("got %v, want ErrNoTokens", err)
	}
}
