package datasets_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/retort-ml/retort/datasets"
)

// manyExamples are n of various lengths, some of them too long for tokensFormat.
func manyExamples(n int) iter.Seq2[datasets.Example, error] {
	return func(yield func(datasets.Example, error) bool) {
		random := rand.New(rand.NewPCG(1, 2))
		for i := range n {
			e := example(strings.Repeat("p", 1+random.IntN(40)), strings.Repeat("r", 1+random.IntN(20)))
			e.ID, e.Row = fmt.Sprint(i), i
			if !yield(e, nil) {
				return
			}
		}
	}
}

var tokensFormat = datasets.Format{BOS: 1, EOS: 2, MaxTokens: 48}

var tokensRule = datasets.TokensRule{Tokenizer: "bytes", Examples: "many"}

func writeTokens(t *testing.T, dir string, n, perFile int) *datasets.TokenCache {
	t.Helper()
	c, err := datasets.WriteTokensIn(t.Context(), dir, bytewise{}, manyExamples(n), tokensFormat, tokensRule, nil, perFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// inMemory is the same examples without a cache.
func inMemory(t *testing.T, n int) ([]datasets.Sequence, datasets.EncodeCounts) {
	t.Helper()
	var list []datasets.Sequence
	counts, err := datasets.EncodeEach(t.Context(), bytewise{}, manyExamples(n), tokensFormat, func(e *datasets.Encoded) error {
		if e.Lost == nil {
			list = append(list, e.Sequence)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, counts
}

func TestBatchesOfTheCacheAreThoseOfMemory(t *testing.T) {
	const n = 3000
	cache := writeTokens(t, t.TempDir(), n, 1100)
	list, counts := inMemory(t, n)
	if !reflect.DeepEqual(cache.Info.Counts, counts) || counts.TooLong == 0 {
		t.Errorf("counts %+v, want %+v with some too long", cache.Info.Counts, counts)
	}
	if len(cache.Info.Files) != 3 || cache.Len() != len(list) {
		t.Fatalf("%d files with %d sequences, want 3 with %d", len(cache.Info.Files), cache.Len(), len(list))
	}
	for _, o := range []datasets.BatchOptions{
		{Rows: 4, Length: 64, ResponseWeight: 1, Seed: 5},
		{Rows: 3, PromptWeight: 0.25, ResponseWeight: 1, NoPacking: true},
		{Rows: 2, Length: 50, PromptWeight: 1, InOrder: true},
	} {
		fromCache, err := datasets.NewBatchesOf(cache, o)
		if err != nil {
			t.Fatal(err)
		}
		fromMemory := batches(t, list, o)
		if fromCache.Learned() != fromMemory.Learned() {
			t.Errorf("%+v: %d learned, want %d", o, fromCache.Learned(), fromMemory.Learned())
		}
		for epoch := range 2 {
			if fromCache.Len(epoch) != fromMemory.Len(epoch) {
				t.Fatalf("%+v: %d batches, want %d", o, fromCache.Len(epoch), fromMemory.Len(epoch))
			}
			for i := range fromMemory.Len(epoch) {
				if got, want := batchAt(t, fromCache, epoch, i), batchAt(t, fromMemory, epoch, i); !reflect.DeepEqual(got, want) {
					t.Fatalf("%+v: batch %d of epoch %d differs", o, i, epoch)
				}
			}
		}
	}
}

// Multi-turn masks and weights survive the cache.
func TestCacheKeepsMasksAndWeights(t *testing.T) {
	w := spans{text: "ask<tell|ask more<say|", learned: []string{"<tell|", "<say|"}}
	f := datasets.Format{Writer: w, BOS: -1, EOS: '|', Turns: datasets.AllTurns}
	e := datasets.Example{ID: "c", Prompt: "x", Messages: "[]", Response: "say"}
	c, err := datasets.WriteTokens(t.Context(), t.TempDir(), bytewise{}, datasets.Each([]datasets.Example{e}), f, tokensRule, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want, _, err := datasets.Encode(t.Context(), bytewise{}, []datasets.Example{e}, f)
	if err != nil {
		t.Fatal(err)
	}
	var got datasets.Sequence
	if err := c.Read(0, &got); err != nil {
		t.Fatal(err)
	}
	want[0].Weight = 1
	if !reflect.DeepEqual(got, want[0]) {
		t.Errorf("got %+v, want %+v", got, want[0])
	}
}

// The files are what Arrow itself reads, in the order of the examples.
func TestCacheFilesAreArrowStreams(t *testing.T) {
	dir := t.TempDir()
	writeTokens(t, dir, 2500, 1500)
	list, _ := inMemory(t, 2500)
	var state struct {
		Files []struct{ Filename string } `json:"_data_files"`
	}
	data, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err == nil {
		err = json.Unmarshal(data, &state)
	}
	if err != nil || len(state.Files) != 2 || state.Files[1].Filename != "data-00001-of-00002.arrow" {
		t.Fatalf("state.json: %v, files %+v", err, state.Files)
	}
	at := 0
	for _, name := range state.Files {
		f, err := os.Open(filepath.Join(dir, name.Filename))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		in, err := ipc.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for in.Next() {
			r := in.Record()
			ids, mask := r.Column(0).(*array.List), r.Column(1).(*array.List)
			for row := range int(r.NumRows()) {
				s := list[at]
				from, to := ids.ValueOffsets(row)
				maskFrom, _ := mask.ValueOffsets(row)
				for k := range s.Tokens {
					learned := mask.ListValues().(*array.Int8).Value(int(maskFrom)+k) == 1
					if int(to-from) != len(s.Tokens) || ids.ListValues().(*array.Int32).Value(int(from)+k) != s.Tokens[k] || learned != s.Learns(k) {
						t.Fatalf("sequence %d differs at token %d", at, k)
					}
				}
				if r.Column(2).(*array.Int64).Value(row) != int64(s.Example) || r.Column(3).(*array.Int32).Value(row) != int32(s.PromptLen) ||
					r.Column(4).(*array.Float32).Value(row) != 1 {
					t.Fatalf("sequence %d: example, prompt or weight differs", at)
				}
				at++
			}
		}
		if in.Err() != nil {
			t.Fatal(in.Err())
		}
	}
	if at != len(list) {
		t.Errorf("%d sequences, want %d", at, len(list))
	}
}

// directory is all files of a directory.
func directory(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}

const childDir = "DATASETS_TEST_TOKENS_DIR"

const killedExamples = 6000

// TestTokensChild is not a test: TestKilledCacheGoesOn runs and kills it.
func TestTokensChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("for a child process")
	}
	slow := func(yield func(datasets.Example, error) bool) {
		i := 0
		for e, err := range manyExamples(killedExamples) {
			if i++; i%40 == 0 {
				time.Sleep(time.Millisecond)
			}
			if !yield(e, err) {
				return
			}
		}
	}
	writeSlow, err := datasets.WriteTokensIn(t.Context(), dir, bytewise{}, slow, tokensFormat, tokensRule, nil, 500)
	if err != nil {
		t.Fatal(err)
	}
	writeSlow.Close()
}

func TestKilledCacheGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("kills child processes")
	}
	undisturbed := t.TempDir()
	writeTokens(t, undisturbed, killedExamples, 500)
	dir := t.TempDir()
	kept := 0
	for try := range 4 {
		child := exec.Command(os.Args[0], "-test.run=^TestTokensChild$")
		child.Env = append(os.Environ(), childDir+"="+dir)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// Until it has gone on by a file or two, and then somewhere in the next.
		for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
			if parts, _ := filepath.Glob(filepath.Join(dir, "part-*.json")); len(parts) > kept+1 {
				kept = len(parts)
				break
			}
		}
		time.Sleep(time.Duration(7*try) * time.Millisecond)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait()
	}
	if kept < 4 {
		t.Fatalf("%d files were made: nothing was interrupted", kept)
	}
	first := -1 // the first example that is encoded again
	_, err := datasets.WriteTokensIn(t.Context(), dir, bytewise{}, manyExamples(killedExamples), tokensFormat, tokensRule, func(n int) {
		if first < 0 {
			first = n
		}
	}, 500)
	if err != nil {
		t.Fatal(err)
	}
	if first < 500*(kept-1) {
		t.Errorf("it went on from about example %d, with %d files of 500 there", first, kept)
	}
	got, want := directory(t, dir), directory(t, undisturbed)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

// Torn and foreign files in the directory are made anew.
func TestCacheOfAnotherRuleIsReplaced(t *testing.T) {
	dir := t.TempDir()
	writeTokens(t, dir, 700, 250)
	want := directory(t, dir)
	f := tokensFormat
	f.MaxTokens = 30
	other, err := datasets.WriteTokensIn(t.Context(), dir, bytewise{}, manyExamples(700), f, tokensRule, nil, 250)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	if reflect.DeepEqual(directory(t, dir), want) {
		t.Error("another length, and the old cache was used")
	}
	writeTokens(t, dir, 700, 250)
	path := filepath.Join(dir, "data-00001-of-00003.arrow")
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	writeTokens(t, dir, 700, 250)
	if !reflect.DeepEqual(directory(t, dir), want) {
		t.Error("made again, the cache differs")
	}
}

func TestDamagedCaches(t *testing.T) {
	dir := t.TempDir()
	writeTokens(t, dir, 700, 250)
	whole := directory(t, dir)
	for _, c := range []struct {
		name, file string
		damage     func(data []byte) []byte
		want       []string
	}{
		{"a bit of the data", "data-00001-of-00003.arrow", func(d []byte) []byte { d[len(d)/2] ^= 1; return d }, []string{"data-00001-of-00003.arrow", "damaged"}},
		{"cut data", "data-00000-of-00003.arrow", func(d []byte) []byte { return d[:len(d)-1] }, []string{"data-00000-of-00003.arrow", "bytes, not"}},
		{"a bit of the index", "index.bin", func(d []byte) []byte { d[40] ^= 4; return d }, []string{"index.bin", "damaged"}},
		{"no JSON", "tokens.json", func(d []byte) []byte { return d[:50] }, []string{"tokens.json"}},
		{"another format", "tokens.json", func(d []byte) []byte { return bytes.Replace(d, []byte(`"format": 1`), []byte(`"format": 7`), 1) }, []string{"format 7, want 1"}},
		{"a file elsewhere", "tokens.json", func(d []byte) []byte {
			return bytes.Replace(d, []byte(`"data-00001`), []byte(`"../data-00001`), 1)
		}, []string{"names no file beside it"}},
		{"other counts", "tokens.json", func(d []byte) []byte { return bytes.Replace(d, []byte(`"sequences": `), []byte(`"sequences": 1`), 1) }, []string{"not of the sequences"}},
	} {
		path := filepath.Join(dir, c.file)
		if err := os.WriteFile(path, c.damage([]byte(whole[c.file])), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := datasets.OpenTokens(dir)
		wantError(t, c.name, err, c.want...)
		if err := os.WriteFile(path, []byte(whole[c.file]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := datasets.OpenTokens(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no cache: %v", err)
	}
}

func TestCacheErrors(t *testing.T) {
	broken := func(yield func(datasets.Example, error) bool) {
		for e, err := range manyExamples(1000) {
			if e.Row == 900 {
				err = errors.New("row 900 is unreadable")
			}
			if !yield(e, err) {
				return
			}
		}
	}
	dir := t.TempDir()
	_, err := datasets.WriteTokensIn(t.Context(), dir, bytewise{}, broken, tokensFormat, tokensRule, nil, 300)
	wantError(t, "a reader's error", err, "row 900 is unreadable")
	writeTokens(t, dir, 1000, 300) // goes on
	dir = t.TempDir()
	if _, err := datasets.WriteTokensIn(t.Context(), dir, bytewise{}, broken, tokensFormat, tokensRule, nil, 300); err == nil {
		t.Fatal("no error")
	}
	longer := tokensFormat
	longer.MaxTokens = 60
	for _, dir := range []string{dir, filepath.Join(dir, "other")} { // after what another rule left, and alone
		c, err := datasets.WriteTokensIn(t.Context(), dir, bytewise{}, manyExamples(1000), longer, tokensRule, nil, 300)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if c.Info.Counts.TooLong > 20 {
			t.Errorf("%d too long of 60 tokens: parts of another rule were used", c.Info.Counts.TooLong)
		}
	}
	_, err = datasets.WriteTokens(t.Context(), t.TempDir(), bytewise{}, manyExamples(0), tokensFormat, tokensRule, nil)
	wantError(t, "no examples", err, "tokens of 0 examples", "no supervised tokens")
	_, err = datasets.WriteTokens(t.Context(), t.TempDir(), negative{}, manyExamples(3), tokensFormat, tokensRule, nil)
	wantError(t, "a bad tokenizer", err, "f.parquet row 0", "the id -7")
}

func FuzzTokenCache(f *testing.F) {
	dir := f.TempDir()
	c, err := datasets.WriteTokens(f.Context(), dir, bytewise{}, manyExamples(40), tokensFormat, tokensRule, nil)
	if err != nil {
		f.Fatal(err)
	}
	c.Close()
	index, err := os.ReadFile(filepath.Join(dir, "index.bin"))
	if err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "data-00000-of-00001.arrow"))
	if err != nil {
		f.Fatal(err)
	}
	if err := datasets.ReadTokensBytes(index, data); err != nil {
		f.Fatal(err)
	}
	f.Add(index, data)
	f.Add(index[:30], data)
	f.Fuzz(func(_ *testing.T, index, data []byte) {
		datasets.ReadTokensBytes(index, data) // an error or not, without panic or much memory
	})
}
