package distill_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
)

// story is what a real model says about text of its own.
type story struct {
	tokens     []int32   // (N)
	teacher    []float32 // (N,V) log-probabilities
	forgets    []float32 // (N,V) of the same model, which sees the last 12 tokens only
	vocabulary int
}

func realStory(t testing.TB, n int) story {
	t.Helper()
	dir := filepath.Join("..", "..", "shared", "models", "stories260K")
	m, err := model.Load(cpu.New(2), dir)
	if os.IsNotExist(err) || err != nil && !exists(dir) {
		t.Skipf("%s is not there", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d, s := model.NewDecoder(m), story{vocabulary: m.Config.VocabSize}
	text := []int32{m.Config.BOS}
	err = d.Generate(t.Context(), [][]int32{text}, model.GenerateOptions{MaxTokens: n, Seeds: []uint64{7}, Batch: 1, Sampling: model.Sampling{Temperature: 1}}, func(_ int, a model.Answer) error {
		s.tokens = a.Tokens
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, s.tokens...)
	var short [][]int32
	var from []int
	for i := range s.tokens {
		short, from = append(short, text[max(0, i-11):i+2]), append(from, min(i+1, 12))
	}
	s.teacher = everything(t, d, [][]int32{text}, []int{1}, s.vocabulary)
	s.forgets = everything(t, d, short, from, s.vocabulary)
	return s
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// everything is the log-probabilities (N,V) of the scored places.
func everything(t testing.TB, d *model.Decoder, sequences [][]int32, from []int, v int) []float32 {
	t.Helper()
	scored, err := d.Score(t.Context(), sequences, from, v)
	if err != nil {
		t.Fatal(err)
	}
	var all []float32
	for _, s := range scored {
		for _, top := range s.Top {
			row := make([]float32, v)
			for j, id := range top.IDs {
				row[id] = top.LogProbs[j]
			}
			all = append(all, row...)
		}
	}
	return all
}

// The file's rounding changes a loss and its gradient by less than a thousandth, of
// a real teacher's distributions and of students that are near it and far.
func TestRoundingErrorOfTopFile(t *testing.T) {
	s := realStory(t, 150)
	n, v := len(s.tokens), s.vocabulary
	rng := rand.New(rand.NewPCG(4, 4))
	disturbed := func(scale float32) []float32 {
		logits := normal(rng, n*v, 1)
		for i := range logits {
			logits[i] = s.teacher[i] + scale*logits[i]
		}
		return logits
	}
	students := map[string][]float32{"forgets": s.forgets, "near": disturbed(0.1), "far": disturbed(1)}
	for _, k := range []int{8, 32, 64, v} {
		a := s.answer(k)
		exact := distill.NewTopTable(k)
		if err := exact.Append(a.Top); err != nil {
			t.Fatal(err)
		}
		rounded := openTable(t, distill.Info{Teacher: "story", TopK: k, Vocabulary: v}, a)
		for _, o := range []distill.Options{{}, {Temperature: 2}, {Divergence: distill.ReverseKL}, {Divergence: distill.JSD}} {
			for name, logits := range students {
				want, wantGrad := lossOf(t, o, exact, s.tokens, logits)
				got, gotGrad := lossOf(t, o, rounded, s.tokens, logits)
				wrong, size := 0.0, 0.0
				for i, g := range wantGrad {
					wrong += math.Pow(float64(gotGrad[i]-g), 2)
					size += math.Pow(float64(g), 2)
				}
				loss, grad := math.Abs(got-want)/want, math.Sqrt(wrong/size)
				t.Logf("K=%d %s T=%v, student %s: loss %.4f, wrong by %.1e; gradient wrong by %.1e", k, o.Divergence, o.Temperature, name, want/float64(n), loss, grad)
				if !(loss <= 1e-3 && grad <= 1e-3) {
					t.Errorf("K=%d %+v, student %s: the loss is wrong by %.1e, the gradient by %.1e", k, o, name, loss, grad)
				}
			}
		}
	}
}

// answer is the story as a teacher's answer with k alternatives per token.
func (s story) answer(k int) distill.Row {
	a := distill.Answer{Text: "a story", Tokens: s.tokens, Finish: distill.FinishLength}
	for i := range s.tokens {
		a.Top = append(a.Top, topOf(s.teacher[i*s.vocabulary:(i+1)*s.vocabulary], k))
	}
	return distill.NewRow("story", "me", distill.Request{TopK: k}, a)
}

// openTable is the table of rows that were written.
func openTable(t testing.TB, info distill.Info, rows ...distill.Row) *distill.TopTable {
	t.Helper()
	dir := t.TempDir()
	if err := writeTo(dir, info, rows); err != nil {
		t.Fatal(err)
	}
	a, err := distill.OpenAnswers(dir)
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.TopK()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

// lossOf is the loss of an answer's tokens and its gradient in the logits (N,V).
func lossOf(t testing.TB, o distill.Options, table *distill.TopTable, tokens []int32, logits []float32) (float64, []float32) {
	t.Helper()
	return lossFrom(t, o, table, tokens, logits, 0)
}

// lossFrom is that of the tokens from one on; the gradient of those before is 0.
func lossFrom(t testing.TB, o distill.Options, table *distill.TopTable, tokens []int32, logits []float32, from int) (float64, []float32) {
	t.Helper()
	n := len(tokens)
	b := datasets.Batch{B: 1, T: n, Targets: tokens, Example: make([]int32, n)}
	rows := make([]int32, n)
	for i := range rows {
		rows[i], b.Weights, b.Offset = int32(i), append(b.Weights, 1), append(b.Offset, int32(i))
	}
	objective, err := distill.NewObjective(o, table)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := objective.RowLoss(b, rows)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(2)
	m := compute.Of(dev.New(n, len(logits)/n))
	learned := m.RowRange(from, n)
	copy(dev.Host(learned), logits[from*m.Cols:])
	sum, err := loss(dev, learned, from, n)
	if err != nil {
		t.Fatal(err)
	}
	return sum, dev.Host(m)
}

// The state of one token, from the size of files.
func TestTopFileBytesPerToken(t *testing.T) {
	for _, c := range []struct{ k, vocabulary, most int }{{32, 32000, 140}, {64, 32000, 270}, {32, 128256, 204}, {64, 128256, 398}, {64, 0, 398}} {
		rng := rand.New(rand.NewPCG(1, 1))
		const answers, length = 50, 200
		var rows []distill.Row
		for i := range answers {
			a := distill.Answer{Text: "x", Tokens: make([]int32, length), Finish: distill.FinishStop}
			for range length {
				a.Top = append(a.Top, topOf(normal(rng, c.k+1, 2), c.k))
			}
			rows = append(rows, distill.NewRow(fmt.Sprint(i), "me", distill.Request{TopK: c.k}, a))
		}
		dir := t.TempDir()
		if err := writeTo(dir, distill.Info{TopK: c.k, Vocabulary: c.vocabulary}, rows); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "topk.arrow"))
		if err != nil {
			t.Fatal(err)
		}
		each := float64(info.Size()) / (answers * length)
		t.Logf("K=%d, V=%d: %.1f bytes a token", c.k, c.vocabulary, each)
		if each > float64(c.most) {
			t.Errorf("K=%d, V=%d: %.1f bytes a token, want at most %d", c.k, c.vocabulary, each, c.most)
		}
	}
}
