package overlap

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// sentence gives about so many bytes of words drawn from 5000.
func sentence(r *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		w := r.IntN(5000) * 7919
		fmt.Fprintf(&b, "%c%c%c%c%c ", 'a'+w%26, 'a'+w/26%26, 'a'+w/676%26, 'a'+w/17576%26, 'a'+w/3%26)
	}
	return b.String()
}

func BenchmarkAdd(b *testing.B) {
	for _, size := range []int{200, 2000} {
		r := rand.New(rand.NewPCG(1, 1))
		var texts []Text
		for range 4096 {
			texts = append(texts, Text{sentence(r, size), ""})
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			f, err := NewFinder(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.SetBytes(int64(len(texts) * size))
			for b.Loop() {
				if err := f.Add(b.Context(), texts...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(texts))/b.Elapsed().Seconds(), "texts/s")
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	ix, _ := NewIndex(IndexOptions{})
	for range 2000 {
		ix.AddItem("", sentence(r, 300))
	}
	text := sentence(r, 2000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		ix.Match(text)
	}
}

// A million texts, every tenth a near copy of an earlier one: minutes, so it
// runs where OVERLAP_MILLION is set. Read its peak from the process.
func TestMillion(t *testing.T) {
	if os.Getenv("OVERLAP_MILLION") == "" {
		t.Skip("OVERLAP_MILLION is not set")
	}
	r := rand.New(rand.NewPCG(1, 1))
	f, err := NewFinder(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	last := ""
	start := time.Now()
	for i := range 1_000_000 {
		text := last + "x"
		if i%10 != 9 {
			text = sentence(r, 200)
		}
		last = text
		if err := f.Add(t.Context(), Text{text, ""}); err != nil {
			t.Fatal(err)
		}
	}
	added := time.Since(start)
	got, err := f.Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM") {
			t.Log(strings.TrimSpace(line))
		}
	}
	t.Logf("added in %v, found in %v: %v", added, time.Since(start)-added, got.Counts)
	if got.Counts[Near] < 99_000 || got.Counts[Near] > 101_000 {
		t.Errorf("%d near", got.Counts[Near])
	}
}
