package distill_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
)

// onDisk opens the artifact's table as one that is too large for memory.
func onDisk(t testing.TB, dir string) *distill.TopTable {
	t.Helper()
	a, err := distill.OpenAnswers(dir)
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.TopKOnDisk()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

// Of places in record batches of one row each up to thousands, the file on disk
// says what it says in memory, to several at once.
func TestTableOnDisk(t *testing.T) {
	for _, c := range []struct{ n, k, vocabulary int }{{40, 3, 40}, {40, 3, 0}, {40, 40, 1 << 17}, {5000, 2, 40}} {
		dir := t.TempDir()
		in := info(c.k)
		in.Vocabulary = c.vocabulary
		rows := someRows(c.n, c.k)
		if err := writeTo(dir, in, rows); err != nil {
			t.Fatal(err)
		}
		a, err := distill.OpenAnswers(dir)
		if err != nil {
			t.Fatal(err)
		}
		checkTable(t, a, rows, c.k)
		memory, err := a.TopK()
		if err != nil {
			t.Fatal(err)
		}
		disk := onDisk(t, dir)
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() {
				for i := worker; i < len(rows); i += 3 {
					for j := range rows[i].Top {
						want, err := memory.At(i, j)
						got, other := disk.At(i, j)
						if err != nil || other != nil || !reflect.DeepEqual(got, want) {
							t.Errorf("%v: answer %d, token %d: %v, want %v, errors %v, %v", c, i, j, got, want, other, err)
							return
						}
					}
				}
			})
		}
		all.Wait()
		size := fileSize(t, dir, "topk.arrow")
		if held := disk.Bytes(); held > 8*int64(c.n)+200 || memory.Bytes() != held+size {
			t.Errorf("%v: %d bytes held of %d, %d in memory", c, held, size, memory.Bytes())
		}
	}
}

// The greatest ids of both widths come back.
func TestGreatestIDs(t *testing.T) {
	for _, vocabulary := range []int{1 << 16, 1<<16 + 1, 1 << 20} {
		id := int32(vocabulary - 1)
		top := []model.TopTokens{{IDs: []int32{id, 0}, LogProbs: []float32{-0.5, -2}}}
		a := distill.Answer{Text: "x", Tokens: []int32{id}, Finish: distill.FinishStop, Top: top}
		table := openTable(t, distill.Info{TopK: 2, Vocabulary: vocabulary}, distill.NewRow("x", "me", distill.Request{}, a))
		if p, err := table.At(0, 0); err != nil || p.IDs[0] != id || p.IDs[1] != 0 {
			t.Errorf("a vocabulary of %d: %v, error %v", vocabulary, p, err)
		}
	}
}

func fileSize(t testing.TB, dir, name string) int64 {
	t.Helper()
	s, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return s.Size()
}

func TestScratchDoesNotGrow(t *testing.T) {
	table := onDisk(t, writeAnswers(t, 3, someRows(10, 3)[4:5]))
	for times := 1; times < 4; times++ {
		if n, err := table.Held(times, 4); n != 12 || err != nil {
			t.Errorf("after %d times %d alternatives, error %v", times, n, err)
		}
	}
}

// A file that goes away while it is read is an error that names it.
func TestTableOnDiskThatIsCut(t *testing.T) {
	dir := writeAnswers(t, 3, someRows(12, 3))
	table := onDisk(t, dir)
	if err := os.Truncate(filepath.Join(dir, "topk.arrow"), 700); err != nil {
		t.Fatal(err)
	}
	o, err := distill.NewObjective(distill.Options{}, table)
	if err != nil {
		t.Fatal(err)
	}
	b := datasets.Batch{B: 1, T: 1, Targets: []int32{1}, Weights: []float32{1}, Example: []int32{9}, Offset: []int32{3}}
	loss, err := o.RowLoss(b, []int32{0})
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(1)
	if _, err = loss(dev, compute.Of(dev.New(1, 40)), 0, 1); err == nil || !strings.Contains(err.Error(), "topk.arrow: token") || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("error %v", err)
	}
}

// The objective reads the places of its rows whatever their order, and those alone
// that are of an answer.
func TestLossFromFile(t *testing.T) {
	c := randomCase(7, 40, 5, distill.Options{Alpha: new(0.6)})
	b, rows, _ := c.batch()
	var answers []distill.Row
	exact := distill.NewTopTable(5)
	for i, places := range c.top {
		a := distill.Answer{Text: "x", Tokens: make([]int32, len(places)), Finish: distill.FinishStop, Top: places}
		answers = append(answers, distill.NewRow(fmt.Sprint(i), "me", distill.Request{}, a))
	}
	dir := writeAnswers(t, 5, answers)
	disk := onDisk(t, dir)
	for i := range answers { // what the file says, in memory
		var top []model.TopTokens
		for j := range answers[i].Top {
			p, err := disk.At(i, j)
			if err != nil {
				t.Fatal(err)
			}
			top = append(top, model.TopTokens{IDs: p.IDs, LogProbs: p.LogProbs})
		}
		if err := exact.Append(top); err != nil {
			t.Fatal(err)
		}
	}
	for _, order := range [][]int32{rows, {6, 5, 4, 3, 2, 1, 0}, {0, 2, 4, 6}, {1}, {5, 5, 5}} {
		sums := make([]float64, 2)
		grads := make([][]float32, 2)
		for i, table := range []*distill.TopTable{exact, disk} {
			o, err := distill.NewObjective(c.options, table)
			if err != nil {
				t.Fatal(err)
			}
			loss, err := o.RowLoss(b, order)
			if err != nil {
				t.Fatal(err)
			}
			dev := cpu.New(2)
			m := compute.Of(dev.New(len(order), 40))
			copy(dev.Host(m), c.logits)
			half := len(order) / 2
			whole := compute.Of(dev.New(len(order), 40))
			copy(dev.Host(whole), c.logits)
			once, err := loss(dev, whole, 0, len(order))
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range [][2]int{{half, len(order)}, {0, half}} { // a scratch is used again
				s, err := loss(dev, m.RowRange(part[0], part[1]), part[0], part[1])
				if err != nil {
					t.Fatal(err)
				}
				sums[i] += s
			}
			grads[i] = dev.Host(m)
			if d := sums[i] - once; d > 1e-5 || d < -1e-5 || !slices.Equal(grads[i], dev.Host(whole)) {
				t.Errorf("%v: loss %v in parts and %v at once", order, sums[i], once)
			}
		}
		for j := range grads[0] {
			if d := grads[0][j] - grads[1][j]; d > 1e-4 || d < -1e-4 {
				t.Fatalf("%v: gradient %d is %v, want %v", order, j, grads[1][j], grads[0][j])
			}
		}
		if d := sums[0] - sums[1]; d > 1e-3 || d < -1e-3 {
			t.Errorf("%v: loss %v, want %v", order, sums[1], sums[0])
		}
	}
}

// An answer of several record batches.
func TestRunsAcrossRecordBatches(t *testing.T) {
	const n, v = 9000, 4
	rng := rand.New(rand.NewPCG(8, 8))
	a := distill.Answer{Text: "x", Finish: distill.FinishStop}
	logits := normal(rng, n*v, 2)
	for range n {
		a.Tokens, a.Top = append(a.Tokens, rng.Int32N(v)), append(a.Top, topOf(normal(rng, v, 2), 1+rng.IntN(2)))
	}
	exact := distill.NewTopTable(2)
	if err := exact.Append(a.Top); err != nil {
		t.Fatal(err)
	}
	file := openTable(t, distill.Info{TopK: 2, Vocabulary: v}, distill.NewRow("x", "me", distill.Request{}, a))
	for _, from := range []int{0, 100, 4096, 5000} {
		want, wantGrad := lossFrom(t, distill.Options{}, exact, a.Tokens, logits, from)
		got, grad := lossFrom(t, distill.Options{}, file, a.Tokens, logits, from)
		if !(math.Abs(got-want) <= 1e-4*want) {
			t.Errorf("from %d: loss %v, want %v", from, got, want)
		}
		for i, w := range wantGrad {
			if !(math.Abs(float64(grad[i]-w)) <= 1e-3) {
				t.Fatalf("from %d: gradient %d of row %d is %v, want %v", from, i%v, i/v, grad[i], w)
			}
		}
	}
}

// Full logits of a vocabulary of 50,000: writing and reading take a few record
// batches of memory, whatever the file's size.
func TestFullLogitsAreBounded(t *testing.T) {
	const v, places, answers = 50000, 20, 30
	if testing.Short() {
		t.Skip("writes 180 MB")
	}
	dir := t.TempDir()
	w, err := distill.CreateAnswers(dir, distill.Info{Teacher: "me", TopK: v, Vocabulary: v})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	row := wholeRow(v, places)
	before, most := heap(), uint64(0)
	for range answers {
		if err := w.Add(row); err != nil {
			t.Fatal(err)
		}
		most = max(most, heap())
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if most > before+24<<20 {
		t.Errorf("writing took %d MB", (most-before)>>20)
	}
	before = heap()
	a, err := distill.OpenAnswers(dir)
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.TopK()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	size := fileSize(t, dir, "topk.arrow")
	if held := int64(heap()) - int64(before); size < 100<<20 || table.Bytes() > 1<<16 || held > 24<<20 {
		t.Errorf("a file of %d bytes: %d in memory, and says %d", size, held, table.Bytes())
	}
	p, err := table.At(answers-1, places-1)
	if err != nil || len(p.IDs) != v || p.IDs[v-1] != row.Top[places-1].IDs[v-1] {
		t.Errorf("the last place has %d alternatives, error %v", len(p.IDs), err)
	}
}

// wholeRow is an answer with the whole distribution at every place.
func wholeRow(v, places int) distill.Row {
	rng := rand.New(rand.NewPCG(3, 3))
	top := topOf(normal(rng, v, 2), v)
	a := distill.Answer{Text: "x", Tokens: make([]int32, places), Finish: distill.FinishStop}
	for range places {
		a.Top = append(a.Top, top)
	}
	return distill.NewRow("whole", "me", distill.Request{TopK: v}, a)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkRowLoss(b *testing.B) {
	for _, c := range []struct{ v, k int }{{1500, 77}, {32000, 64}, {1500, 1500}} {
		const n = 256
		rng := rand.New(rand.NewPCG(1, 1))
		a := distill.Answer{Text: "x", Finish: distill.FinishStop}
		logits := normal(rng, n*c.v, 2)
		for range n {
			a.Tokens = append(a.Tokens, rng.Int32N(int32(c.v)))
			a.Top = append(a.Top, topOf(normal(rng, c.v, 2), c.k))
		}
		row := distill.NewRow("x", "me", distill.Request{}, a)
		exact := distill.NewTopTable(c.k)
		if err := exact.Append(a.Top); err != nil {
			b.Fatal(err)
		}
		dir := b.TempDir()
		if err := writeTo(dir, distill.Info{TopK: c.k, Vocabulary: c.v}, []distill.Row{row}); err != nil {
			b.Fatal(err)
		}
		for _, kind := range []struct {
			name  string
			table *distill.TopTable
		}{{"memory", exact}, {"disk", onDisk(b, dir)}} {
			b.Run(fmt.Sprintf("V=%d/K=%d/%s", c.v, c.k, kind.name), func(b *testing.B) { benchmarkLoss(b, kind.table, a.Tokens, logits) })
		}
	}
}

func benchmarkLoss(b *testing.B, table *distill.TopTable, tokens []int32, logits []float32) {
	n := len(tokens)
	batch := datasets.Batch{B: 1, T: n, Targets: tokens, Example: make([]int32, n)}
	rows := make([]int32, n)
	for i := range rows {
		rows[i], batch.Weights, batch.Offset = int32(i), append(batch.Weights, 1), append(batch.Offset, int32(i))
	}
	o, err := distill.NewObjective(distill.Options{Alpha: new(0.5)}, table)
	if err != nil {
		b.Fatal(err)
	}
	dev := cpu.New(2)
	m := compute.Of(dev.New(n, len(logits)/n))
	for b.Loop() {
		copy(dev.Host(m), logits)
		loss, err := o.RowLoss(batch, rows)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := loss(dev, m, 0, n); err != nil {
			b.Fatal(err)
		}
	}
}
