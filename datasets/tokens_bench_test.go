package datasets_test

import (
	"testing"

	"github.com/retort-ml/retort/datasets"
)

// BenchmarkBatch makes batches of 8 rows of 256 tokens, from memory and from a
// token cache. A training step takes a thousand times as long.
func BenchmarkBatch(b *testing.B) {
	const n = 50_000
	cache, err := datasets.WriteTokens(b.Context(), b.TempDir(), bytewise{}, manyExamples(n), tokensFormat, tokensRule, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Close()
	var list []datasets.Sequence
	if _, err := datasets.EncodeEach(b.Context(), bytewise{}, manyExamples(n), tokensFormat, func(e *datasets.Encoded) error {
		if e.Lost == nil {
			list = append(list, e.Sequence)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	memory, err := datasets.InMemory(list)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		s    datasets.Sequences
	}{{"memory", memory}, {"cache", cache}} {
		b.Run(c.name, func(b *testing.B) {
			batches, err := datasets.NewBatchesOf(c.s, datasets.BatchOptions{Rows: 8, Length: 256, ResponseWeight: 1})
			if err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				if _, err := batches.At(0, i%batches.Len(0)); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(8*256*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
		})
	}
}
