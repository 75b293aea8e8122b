package datasets

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// lengthsOnly are sequences of which only the lengths are known.
type lengthsOnly []uint32

func (l lengthsOnly) Len() int                  { return len(l) }
func (l lengthsOnly) Size(i int) int            { return int(l[i]) }
func (l lengthsOnly) Read(int, *Sequence) error { panic("not read") }

func (l lengthsOnly) Totals() (tokens, learned int64) {
	for _, n := range l {
		tokens += int64(n)
	}
	return tokens, tokens / 2
}

func randomLengths(n, most int) lengthsOnly {
	random := rand.New(rand.NewPCG(5, 6))
	l := make(lengthsOnly, n)
	for i := range l {
		l[i] = 2 + uint32(random.IntN(most-1))
	}
	return l
}

// heapAfter is the live heap and all that was allocated while do ran.
func heapAfter(do func()) (live, total int64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	total = int64(after.TotalAlloc - before.TotalAlloc)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc), total
}

// A layout takes at most 20 bytes a sequence, in all epochs together: of 10
// million sequences with their lengths less than 300 MB. All that is allocated
// is counted, as if nothing were collected.
func TestLayoutIsCompact(t *testing.T) {
	const n = 200_000
	for _, c := range []struct {
		name string
		o    BatchOptions
		most int // tokens of a sequence
	}{
		{"short", BatchOptions{Rows: 8, Length: 256, ResponseWeight: 1}, 60},
		{"a row each", BatchOptions{Rows: 8, Length: 256, ResponseWeight: 1, NoPacking: true}, 256},
		{"long", BatchOptions{Rows: 8, Length: 256, ResponseWeight: 1}, 256},
	} {
		lengths := randomLengths(n, c.most)
		_, total := heapAfter(func() {
			b, err := NewBatchesOf(lengths, c.o)
			if err != nil {
				t.Fatal(err)
			}
			for epoch := range 3 {
				b.Len(epoch)
			}
		})
		if perSequence := float64(total) / n; perSequence > 24 {
			t.Errorf("%s: three epochs allocated %.1f bytes a sequence", c.name, perSequence)
		}
	}
}

// BenchmarkLayout lays out an epoch of a million sequences.
func BenchmarkLayout(b *testing.B) {
	lengths := randomLengths(1_000_000, 60)
	var batches *Batches
	live, total := heapAfter(func() {
		var err error
		if batches, err = NewBatchesOf(lengths, BatchOptions{Rows: 8, Length: 256, ResponseWeight: 1}); err != nil {
			b.Fatal(err)
		}
		batches.Len(0)
	})
	epoch := 0
	for b.Loop() {
		epoch++
		batches.Len(epoch)
	}
	b.ReportMetric(float64(live)/1e6, "live-MB")
	b.ReportMetric(float64(total)/1e6, "allocated-MB")
}
