package api

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
)

func TestWorst(t *testing.T) {
	o := Options{API: OpenAI, Model: "m", ThinkingTokens: 100, Price: &distill.Price{Input: 1, Output: 1}}.WithDefaults()
	for _, test := range []struct {
		r    distill.Request
		want string // part of the error
	}{
		{distill.Request{Prompt: "hi"}, ""}, {distill.Request{Prompt: "hi", Tools: "[]"}, ""}, {distill.Request{Messages: `[{"role":"user","content":"say \"image_url\""}]`}, ""},
		{distill.Request{Messages: `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]`}, `messages[0].content: a part of kind "image_url"`},
		{distill.Request{Messages: `[{"role":"user","content":[{"type":"video","v":"http://x"}]}]`}, "cannot be bounded"},
	} {
		body := []byte(`{"messages":"0123456789"}`)
		w, err := o.worst(body, &test.r)
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v: error %v, want %q", test.r, err, test.want)
			}
			continue
		}
		if err != nil || w.prompt < len(body) || w.answer != 356 || w.cost != distill.Money(1000*(w.prompt+w.answer)) {
			t.Errorf("%+v: %+v, error %v", test.r, w, err)
		}
	}
}

// TestWalletWaits: what is short only because of what is under way is had later;
// what can never be had is refused at once.
func TestWalletWaits(t *testing.T) {
	p := newPurse(100)
	w := newWallet(p)
	id, err := w.reserve(t.Context(), 80)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := w.reserve(t.Context(), 50)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := w.settle(t.Context(), id, 80, 10); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	if err := w.settle(t.Context(), 1, 50, 50); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reserve(t.Context(), 41); !errors.Is(err, distill.ErrBudget) {
		t.Errorf("error %v", err)
	}
}
