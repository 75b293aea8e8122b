package distill_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

// version1 is testdata/store_v1.db, which the program of version 1 wrote, somewhere else.
func version1(t *testing.T, change func([]byte)) string {
	t.Helper()
	content, err := os.ReadFile("testdata/store_v1.db")
	if err != nil {
		t.Fatal(err)
	}
	change(content)
	path := filepath.Join(t.TempDir(), "v1.db")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// The requests and answers of the file.
func version1Requests() ([]distill.Request, []distill.Answer) {
	var requests []distill.Request
	var answers []distill.Answer
	for i := range 5 {
		r := distill.Request{Prompt: fmt.Sprintf("prompt %d", i), MaxTokens: 9, TopK: 2, Seed: 7, Sampling: model.Sampling{Temperature: 0.7, MinP: 0.1}}
		full := fullAnswer(i)
		a := distill.Answer{Text: full.Text, Tokens: full.Tokens, LogProbs: full.LogProbs, Top: full.Top,
			Usage: distill.Usage{PromptTokens: 7, AnswerTokens: 3}, Finish: full.Finish, Latency: full.Latency}
		switch i {
		case 3:
			r.Given, a.Finish = new("given"), distill.FinishGiven
		case 4:
			a = distill.Answer{Finish: distill.FinishEmpty}
		}
		requests, answers = append(requests, r), append(answers, a)
	}
	return requests, answers
}

func TestVersion1(t *testing.T) {
	path := version1(t, func([]byte) {})
	requests, want := version1Requests()
	var all sync.WaitGroup
	for range 3 { // at once, and then again
		all.Go(func() {
			s, err := distill.OpenStore(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	all.Wait()
	s := openStore(t, path)
	if got := each(t, s, "me", requests); !reflect.DeepEqual(got, want) {
		t.Errorf("answers %+v, want %+v", got, want)
	}
	n := 0
	for r, err := range s.Records(t.Context(), distill.Filter{}) {
		if err != nil || r.Key != requests[n].Key("me") || r.Request.Prompt != requests[n].Prompt || r.CreatedAt.IsZero() {
			t.Errorf("record %d: %+v, error %v", n, r, err)
		}
		n++
	}
	if _, err := s.Put(t.Context(), "me", distill.Request{Prompt: "new"}, fullAnswer(9)); err != nil || n != 5 {
		t.Errorf("%d records; put: %v", n, err)
	}
}

// What was damaged is damaged afterwards, and nothing else is.
func TestDamagedVersion1(t *testing.T) {
	path := version1(t, func(b []byte) { b[bytes.LastIndex(b, []byte("answer 2"))] = 'A' })
	s := openStore(t, path)
	requests, want := version1Requests()
	for i, r := range requests {
		got, err := s.Get(t.Context(), []distill.Key{r.Key("me")})
		if i == 2 {
			if err == nil || !strings.Contains(err.Error(), r.Key("me").String()) {
				t.Errorf("the damaged answer: %v", err)
			}
		} else if err != nil || !reflect.DeepEqual(got[r.Key("me")], want[i]) {
			t.Errorf("answer %d: %+v, error %v", i, got, err)
		}
	}
	damaged := 0
	for _, err := range s.Records(t.Context(), distill.Filter{}) {
		if err != nil {
			damaged++
		}
	}
	if damaged != 1 {
		t.Errorf("%d damaged records, want 1", damaged)
	}
}
