package distill_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

func openStore(t *testing.T, path string) *distill.Store {
	t.Helper()
	s, err := distill.OpenStore(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// fullAnswer has a value in every field that the store keeps.
func fullAnswer(n int) distill.Answer {
	return distill.Answer{
		Text: fmt.Sprintf("answer %d\x00 \xff\n\"'", n), Reasoning: "because\x00", ToolCalls: `[{"id":"1"}]`,
		Tokens: []int32{int32(n), 0, math.MaxInt32}, LogProbs: []float32{-0.5, 0, -99},
		Top: []model.TopTokens{
			{IDs: []int32{300, 1}, LogProbs: []float32{-0.25, -3}}, {IDs: []int32{}, LogProbs: []float32{}},
			{IDs: []int32{math.MaxInt32}, LogProbs: []float32{-1e-20}},
		},
		Pieces: []distill.Piece{
			{Bytes: []byte("a\xf0"), LogProb: -0.5, Top: []distill.Alternative{{Bytes: []byte("b"), LogProb: -0.25}, {Bytes: []byte("a\xf0"), LogProb: -0.5}}},
			{Bytes: []byte{}, LogProb: -9}, {Bytes: []byte("b"), Top: []distill.Alternative{{Bytes: []byte("b"), LogProb: -1}}},
		},
		Usage: distill.Usage{PromptTokens: 7, CachedTokens: 5, AnswerTokens: 3, ReasoningTokens: 1}, Finish: distill.FinishLength,
		Model: "m-1", Fingerprint: "fp", Raw: []byte("{\"raw\":\x00\xff}"), Cost: 12345, Batch: true, Attempts: 3, RetryCost: 99, Latency: 123456789,
	}
}

func TestStoreKeepsAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers ?#%20.db")
	s := openStore(t, path)
	want := map[distill.Key]distill.Answer{}
	var keys []distill.Key
	for i := range 300 { // more than one query takes
		r := distill.Request{Prompt: fmt.Sprintf("prompt %d\x00\xff", i), TopK: 2}
		a := fullAnswer(i)
		switch i {
		case 1:
			a = distill.Answer{Finish: distill.FinishEmpty}
		case 2:
			r.Given, a.Finish = new("given"), distill.FinishGiven
		}
		if kept, err := s.Put(t.Context(), "me", r, a); err != nil || !reflect.DeepEqual(kept, a) {
			t.Fatalf("answer %d: kept %+v, error %v", i, kept, err)
		}
		keys = append(keys, r.Key("me"))
		want[r.Key("me")] = a
	}
	for _, store := range []*distill.Store{s, openStore(t, path)} {
		got, err := store.Get(t.Context(), append(keys, distill.Request{}.Key("me")))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d answers, error %v, want %d as they were put", len(got), err, len(want))
		}
	}
	if got, err := s.Get(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("no keys: %v, %v", got, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the store is not where it should be: %v", err)
	}
}

func TestStoreKeepsTheFirstAnswer(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	r := distill.Request{Prompt: "p"}
	first, second := fullAnswer(1), fullAnswer(2)
	for _, a := range []distill.Answer{first, second} {
		if kept, err := s.Put(t.Context(), "me", r, a); err != nil || !reflect.DeepEqual(kept, first) {
			t.Fatalf("kept %+v, error %v, want the first", kept, err)
		}
	}
}

func TestStoreIsForSeveral(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	var all sync.WaitGroup
	for p := range 6 {
		all.Go(func() {
			s, err := distill.OpenStore(t.Context(), path) // all at once, while it is made
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for i := range 15 {
				r := distill.Request{Prompt: fmt.Sprint(i)}
				kept, err := s.Put(t.Context(), "me", r, distill.Answer{Text: fmt.Sprint(p), Finish: distill.FinishStop})
				if err != nil {
					t.Error(err)
					return
				}
				found, err := s.Get(t.Context(), []distill.Key{r.Key("me")})
				if got := found[r.Key("me")]; err != nil || got.Text != kept.Text {
					t.Errorf("found %q, error %v, after %q was kept", got.Text, err, kept.Text)
				}
			}
		})
	}
	all.Wait()
}

// People look into the store with any SQLite program.
func TestStoreIsReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := openStore(t, path)
	if _, err := s.Put(t.Context(), "me", distill.Request{Prompt: "what?", MaxTokens: 9}, distill.Answer{Text: "that", Tokens: []int32{1, 2}, Usage: distill.Usage{AnswerTokens: 2}, Finish: "stop"}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var prompt, answer, settings, created string
	var tokens int
	err = db.QueryRow("SELECT prompt, answer, settings, created_at, answer_tokens FROM answers").Scan(&prompt, &answer, &settings, &created, &tokens)
	if err != nil || prompt != "what?" || answer != "that" || tokens != 2 || !strings.Contains(settings, `"max_tokens":9`) {
		t.Errorf("%q, %q, %q, %d tokens, error %v", prompt, answer, settings, tokens, err)
	}
	if at, err := time.Parse(time.RFC3339Nano, created); err != nil || time.Since(at) > time.Minute {
		t.Errorf("created at %q", created)
	}
}

// damagedStore is the file of a store of 40 answers, changed.
func damagedStore(t *testing.T, change func(content []byte) []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.db")
	s := openStore(t, path)
	for i := range 40 {
		if _, err := s.Put(t.Context(), "me", distill.Request{Prompt: fmt.Sprint(i)}, fullAnswer(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll opens the store and reads the 40 answers.
func readAll(ctx context.Context, path string) (map[distill.Key]distill.Answer, error) {
	s, err := distill.OpenStore(ctx, path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var keys []distill.Key
	for i := range 40 {
		keys = append(keys, distill.Request{Prompt: fmt.Sprint(i)}.Key("me"))
	}
	return s.Get(ctx, keys)
}

func TestDamagedStores(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"not a database":  func([]byte) []byte { return bytes.Repeat([]byte("hello "), 2000) },
		"cut in half":     func(b []byte) []byte { return b[:len(b)/2] },
		"cut in a page":   func(b []byte) []byte { return b[:len(b)-1000] },
		"one byte":        func(b []byte) []byte { return b[:1] },
		"zeros in a page": func(b []byte) []byte { clear(b[4096:8192]); return b },
		"an answer's text": func(b []byte) []byte {
			at := bytes.LastIndex(b, []byte("answer 7"))
			b[at] = 'A'
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := damagedStore(t, change)
			_, err := readAll(t.Context(), path)
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that names %s", err, path)
			}
		})
	}
}

// Whatever bit flips, an answer is read as it was written, or there is an error.
func TestFlippedBitsInAStore(t *testing.T) {
	path := damagedStore(t, func(b []byte) []byte { return b })
	want, err := readAll(t.Context(), path)
	if err != nil || len(want) != 40 {
		t.Fatalf("%d answers, error %v", len(want), err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for n := range 60 {
		damaged := bytes.Clone(content)
		damaged[(n*len(content)/60+n*37)%len(content)] ^= 1 << (n % 8)
		at := filepath.Join(dir, fmt.Sprint(n, ".db"))
		if err := os.WriteFile(at, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t.Context(), at)
		if err != nil {
			if !strings.Contains(err.Error(), at) {
				t.Errorf("error %v does not name %s", err, at)
			}
			continue
		}
		for key, a := range got {
			if !reflect.DeepEqual(a, want[key]) {
				t.Errorf("flip %d: another answer", n)
			}
		}
	}
}

func TestStoresThatAreNone(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, statements ...string) string {
		path := filepath.Join(dir, name)
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for _, c := range []struct{ name, path, want string }{
		{"another program's", write("other.db", "CREATE TABLE users (name TEXT)"), "another program's SQLite database"},
		{"newer", write("newer.db", fmt.Sprintf("PRAGMA application_id=%d", 0x7265746f), "PRAGMA user_version=3", "CREATE TABLE a (b)"), "schema version 3, and this program knows 2"},
		{"a directory", dir, "not a regular file"},
		{"no directory", filepath.Join(dir, "none", "a.db"), "no such file"},
	} {
		s, err := distill.OpenStore(t.Context(), c.path)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	// Another program's file is as it was.
	for _, suffix := range []string{"-wal", "-journal"} {
		if _, err := os.Stat(filepath.Join(dir, "other.db"+suffix)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file other.db%s was made: %v", suffix, err)
		}
	}
}
