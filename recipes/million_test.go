package recipes

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/datasets"
)

// shortRows are n rows of two short columns, of about 12 and 3 words.
func shortRows(n int) iter.Seq2[datasets.Example, error] {
	words := strings.Fields("the quick brown fox jumps over a lazy dog while seven wizards mix boxing gloves with jolly vodka please tell me why my card payment was declined today and how to top up again")
	return func(yield func(datasets.Example, error) bool) {
		random := rand.New(rand.NewPCG(8, 9))
		text := func(n int) string {
			var b strings.Builder
			for i := range n {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.WriteString(words[random.IntN(len(words))])
			}
			return b.String()
		}
		for i := range n {
			e := datasets.Example{ID: fmt.Sprint(i), File: "rows", Row: i, Prompt: text(6 + random.IntN(13)), Response: text(1 + random.IntN(5))}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// TestMillionRows states the rate of encoding a million rows into a token cache,
// of laying them out and reading an epoch, and the peak of memory. It takes
// minutes: RETORT_MILLION_ROWS=1 runs it. RETORT_TOKENIZER names another
// tokenizer than a small one that is trained here.
func TestMillionRows(t *testing.T) {
	if os.Getenv("RETORT_MILLION_ROWS") == "" {
		t.Skip("takes minutes: set RETORT_MILLION_ROWS")
	}
	path := os.Getenv("RETORT_TOKENIZER")
	if path == "" {
		path = goldenModel(t, 300)
	}
	tok, err := tokenizerAt(path)
	if err != nil {
		t.Fatal(err)
	}
	const rows = 1_000_000
	begin := time.Now()
	c, err := datasets.WriteTokens(t.Context(), t.TempDir(), tok, shortRows(rows), datasets.Format{BOS: -1, EOS: 0, MaxTokens: 256}, datasets.TokensRule{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	took := time.Since(begin)
	t.Logf("%d rows, %d tokens: %.0f rows/s, %.0f tokens/s, peak %s", c.Info.Counts.Examples, c.Info.Tokens,
		rows/took.Seconds(), float64(c.Info.Tokens)/took.Seconds(), peakMemory(t))
	begin = time.Now()
	b, err := datasets.NewBatchesOf(c, datasets.BatchOptions{Rows: 8, Length: 256, ResponseWeight: 1})
	if err != nil {
		t.Fatal(err)
	}
	n := b.Len(0)
	t.Logf("laid out %d batches in %v, %.1f %% full, peak %s", n, time.Since(begin), 100*b.Fill(0), peakMemory(t))
	begin = time.Now()
	for i := range n {
		if _, err := b.At(0, i); err != nil {
			t.Fatal(err)
		}
	}
	took = time.Since(begin)
	t.Logf("an epoch read in %v, %.0f µs a batch, %.1f million tokens/s, peak %s", took, float64(took.Microseconds())/float64(n), float64(c.Info.Tokens)/took.Seconds()/1e6, peakMemory(t))
}

var highWater = regexp.MustCompile(`VmHWM:\s*(\d+ kB)`)

// peakMemory is the most memory that the process has had.
func peakMemory(t *testing.T) string {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	if m := highWater.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return "unknown"
}
