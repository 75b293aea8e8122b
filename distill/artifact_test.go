package distill_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

// someRows are n answers of 0 to 4 tokens with k alternatives each.
func someRows(n, k int) []distill.Row {
	rng := rand.New(rand.NewPCG(9, uint64(k)))
	var rows []distill.Row
	for i := range n {
		r := distill.Request{Prompt: fmt.Sprintf("prompt %d ü", i), TopK: k}
		a := distill.Answer{Text: fmt.Sprintf("answer %d", i), Usage: distill.Usage{PromptTokens: i}, Finish: distill.FinishStop}
		for range i % 5 {
			top := topOf(normal(rng, 40, 2), max(k, 1))
			a.Tokens = append(a.Tokens, top.IDs[0])
			if k > 0 {
				a.Top = append(a.Top, top)
			}
		}
		if i%5 == 0 {
			a.Finish = distill.FinishEmpty
		}
		rows = append(rows, distill.NewRow(fmt.Sprint("id", i), "me", r, a))
	}
	return rows
}

func info(k int) distill.Info {
	return distill.Info{Teacher: "me", Tokenizer: "letters", TopK: k, Vocabulary: 40, MaxTokens: 9, Sampling: model.Sampling{Temperature: 1, TopP: 0.5}, Seed: 3}
}

func writeAnswers(t *testing.T, k int, rows []distill.Row) string {
	t.Helper()
	dir := t.TempDir()
	if err := writeTo(dir, info(k), rows); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeTo(dir string, info distill.Info, rows []distill.Row) error {
	w, err := distill.CreateAnswers(dir, info)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := w.Add(r); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return errors.Join(w.Finish(), w.Close())
}

func TestAnswersRoundTrip(t *testing.T) {
	for _, c := range []struct{ n, k int }{{0, 0}, {0, 3}, {1, 3}, {12, 0}, {12, 1}, {12, 40}, {5000, 2}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			rows := someRows(c.n, c.k)
			a, err := distill.OpenAnswers(writeAnswers(t, c.k, rows))
			if err != nil {
				t.Fatal(err)
			}
			if a.Info != info(c.k) || a.Counts.Answers != c.n || a.Counts.Finish[distill.FinishEmpty] != (c.n+4)/5 {
				t.Errorf("info %+v, counts %+v", a.Info, a.Counts)
			}
			got, err := a.ReadRows()
			if err != nil || len(got) != len(rows) {
				t.Fatalf("%d rows, error %v", len(got), err)
			}
			for i, got := range got {
				want := rows[i]
				want.Top = nil
				if len(want.Tokens) == 0 {
					want.Tokens, got.Tokens = nil, nil
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("row %d: %+v, want %+v", i, got, want)
				}
			}
			if c.k > 0 {
				checkTable(t, a, rows, c.k)
			} else if _, err := a.TopK(); err == nil || !strings.Contains(err.Error(), "top_k 0") {
				t.Errorf("alternatives that are not kept: error %v", err)
			}
		})
	}
}

func checkTable(t *testing.T, a *distill.Answers, rows []distill.Row, k int) {
	t.Helper()
	table, err := a.TopK()
	if err != nil {
		t.Fatal(err)
	}
	if table.K() != k || table.Examples() != len(rows) {
		t.Fatalf("%d examples with %d alternatives", table.Examples(), table.K())
	}
	for i, r := range rows {
		if table.Places(i) != len(r.Top) {
			t.Fatalf("row %d: %d places, want %d", i, table.Places(i), len(r.Top))
		}
		for j, want := range r.Top {
			p, err := table.At(i, j)
			if err != nil || !slices.Equal(p.IDs, want.IDs) {
				t.Fatalf("row %d, token %d: %v, error %v, want %v", i, j, p, err, want)
			}
			rest := 1.0
			for n, x := range want.LogProbs {
				nearRoot(t, float64(p.LogProbs[n]), float64(x))
				rest -= math.Exp(float64(x))
			}
			nearRoot(t, float64(p.Rest), math.Log(max(rest, 1e-8)))
		}
	}
}

// nearRoot tells whether got is the log of a probability whose eighth root was
// rounded to a 65,535th. What is left of 1 is only as good as float32 has it.
func nearRoot(t *testing.T, got, want float64) {
	t.Helper()
	if d := math.Exp(got/8) - math.Exp(want/8); math.Abs(d) > 0.5/65535+1e-7 {
		t.Fatalf("%v, want %v to within half a step: off by %v", got, want, d)
	}
}

func TestSameAnswersAreTheSameBytes(t *testing.T) {
	first, again := writeAnswers(t, 4, someRows(30, 4)), writeAnswers(t, 4, someRows(30, 4))
	files, err := os.ReadDir(first)
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, f := range files {
		a, err := os.ReadFile(filepath.Join(first, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(again, f.Name())); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs, error %v", f.Name(), err)
		}
	}
}

// topk.arrow is an Arrow IPC file as any program reads it.
func TestTopFileIsArrow(t *testing.T) {
	rows := someRows(5000, 2)
	f, err := os.Open(filepath.Join(writeAnswers(t, 2, rows), "topk.arrow"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	in, err := ipc.NewFileReader(f, ipc.WithAllocator(mem))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var fields []string
	for _, f := range in.Schema().Fields() {
		fields = append(fields, f.Name+": type="+f.Type.String())
	}
	const want = "ids: type=list<item: uint16> roots: type=list<item: uint16> rest: type=uint16"
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("schema %s, want %s", got, want)
	}
	n := 0
	for i := range in.NumRecords() {
		r, err := in.RecordAt(i)
		if err != nil {
			t.Fatal(err)
		}
		if r.NumRows() > 4096 {
			t.Errorf("a record batch of %d rows", r.NumRows())
		}
		if i == 0 {
			ids := r.Column(0).(*array.List).ListValues().(*array.Uint16).Uint16Values()
			root, rest := r.Column(1).(*array.List).ListValues().(*array.Uint16).Value(1), r.Column(2).(*array.Uint16).Value(0)
			top := rows[1].Top[0]
			if int32(ids[0]) != top.IDs[0] || int32(ids[1]) != top.IDs[1] {
				t.Errorf("the first row is %v", r)
			}
			nearRoot(t, 8*math.Log(float64(root)/65535), float64(top.LogProbs[1]))
			nearRoot(t, 8*math.Log(float64(rest)/65535), math.Log(1-math.Exp(float64(top.LogProbs[0]))-math.Exp(float64(top.LogProbs[1]))))
		}
		n += int(r.NumRows())
		r.Release()
	}
	if n != 10000 || in.NumRecords() != 3 {
		t.Errorf("%d rows in %d record batches", n, in.NumRecords())
	}
}

func TestWriteAnswersRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name   string
		change func(r *distill.Row)
		want   string
	}{
		{"NaN", func(r *distill.Row) { r.Top[1].LogProbs[0] = nan }, "row 4 (id4): token 1 of the answer: the teacher's log-probability of token id"},
		{"infinite", func(r *distill.Row) { r.Top[1].LogProbs[2] = inf }, "is -Inf"},
		{"too likely", func(r *distill.Row) { r.Top[0].LogProbs[0] = 0.1 }, "probabilities add up to"},
		{"twice", func(r *distill.Row) { r.Top[0].IDs[2] = r.Top[0].IDs[0] }, "twice"},
		{"negative", func(r *distill.Row) { r.Top[0].IDs[2] = -4 }, "token id -4 is negative"},
		{"outside", func(r *distill.Row) { r.Top[0].IDs[2] = 40 }, "token id 40 is outside a vocabulary of 40"},
		{"too few", func(r *distill.Row) { r.Top[3].IDs = r.Top[3].IDs[:2] }, "token 3 of the answer: 2 alternatives with 3 log-probabilities, want as many, and at most 3"},
		{"missing", func(r *distill.Row) { r.Top = r.Top[:3] }, "alternatives for 3 of 4 tokens"},
		{"count", func(r *distill.Row) { r.AnswerTokens = 9 }, "row 4 (id4): 9 answer tokens and a list of 4"},
		{"finish", func(r *distill.Row) { r.Finish = "" }, `finish ""`},
		{"too many", func(r *distill.Row) { r.Top[1] = topOf([]float32{1, 2, 3, 4, 5}, 4) }, "token 1 of the answer: 4 alternatives"},
		{"weight", func(r *distill.Row) { r.Weight = 0 }, "weight 0: want"},
		{"heavy", func(r *distill.Row) { r.Weight = -inf }, "weight +Inf: want"},
		{"sample", func(r *distill.Row) { r.Sample = -1 }, "sample -1: want"},
		{"target", func(r *distill.Row) { r.Target = "labels" }, `target "labels": want`},
	} {
		rows := someRows(6, 3)
		c.change(&rows[4])
		dir := t.TempDir()
		err := writeTo(dir, info(3), rows)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "answers.json")); err == nil {
			t.Errorf("%s: answers.json was written", c.name)
		}
	}
}

func TestDamagedAnswers(t *testing.T) {
	dir := writeAnswers(t, 3, someRows(12, 3))
	other := writeAnswers(t, 3, someRows(13, 3))
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 4; return b }
	}
	replace := func(from, to string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) }
	}
	foreign := func(name string) func([]byte) []byte {
		return func([]byte) []byte {
			b, err := os.ReadFile(filepath.Join(other, name))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte // nil: the file is gone
		want       string
	}{
		{"no description", "answers.json", nil, "no such file"},
		{"no JSON", "answers.json", flip(0), "invalid character"},
		{"unknown key", "answers.json", replace(`"format"`, `"formad"`), "unknown field"},
		{"format", "answers.json", replace(`"format": 3`, `"format": 2`), "format 2, want 3"},
		{"more", "answers.json", func(b []byte) []byte { return append(b, "{}"...) }, "something follows"},
		{"huge description", "answers.json", func([]byte) []byte { return make([]byte, 2<<20) }, "more than 1048576 bytes"},
		{"top_k", "answers.json", replace(`"top_k": 3`, `"top_k": 1048577`), "1048577 alternatives"},
		{"vocabulary", "answers.json", replace(`"vocabulary": 40`, `"vocabulary": -1`), "vocabulary of -1"},
		{"wider ids", "answers.json", replace(`"vocabulary": 40`, `"vocabulary": 99999`), "with ids of 4 bytes"},
		{"smaller vocabulary", "answers.json", replace(`"vocabulary": 40`, `"vocabulary": 7`), "outside a vocabulary of 7"},
		{"other top_k", "answers.json", replace(`"top_k": 3`, `"top_k": 2`), "2 alternatives"},
		{"count", "answers.json", replace(`"answers": 12`, `"answers": 13`), "answers.json says 13"},
		{"not listed", "answers.json", replace(`"topk.arrow"`, `"topk.arrov"`), "does not list it"},
		{"no rows", "answers.parquet", nil, "no such file"},
		{"changed rows", "answers.parquet", flip(20), "SHA-256"},
		{"other rows", "answers.parquet", foreign("answers.parquet"), "it is damaged"},
		{"no alternatives", "topk.arrow", nil, "no such file"},
		{"changed alternatives", "topk.arrow", flip(-300), "SHA-256"},
		{"cut alternatives", "topk.arrow", func(b []byte) []byte { return b[:len(b)-8] }, "it is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := t.TempDir()
			if err := os.CopyFS(at, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(at, c.file)
			change(t, path, c.change)
			err := readAnswers(at)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), at) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func change(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	if f == nil {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o666); err != nil {
		t.Fatal(err)
	}
}

func readAnswers(dir string) error {
	a, err := distill.OpenAnswers(dir)
	if err == nil {
		_, err = a.TopK()
	}
	return err
}
