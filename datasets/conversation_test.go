package datasets_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

// spans writes every conversation as text, of which the texts are learned.
type spans struct {
	datasets.Plain
	text    string
	learned []string
}

func (s spans) Conversation(_ datasets.Question, _ string, which datasets.Turns) (datasets.Written, error) {
	w := datasets.Written{Text: s.text}
	for _, text := range s.learned {
		at := strings.Index(s.text, text)
		w.Learned = append(w.Learned, datasets.Span{Start: at, End: at + len(text)})
	}
	if which == datasets.LastTurn {
		w.Learned = w.Learned[len(w.Learned)-1:]
	}
	return w, nil
}

// masked shows a sequence's tokens as text with what is learned in brackets.
func masked(s datasets.Sequence) string {
	var b strings.Builder
	was := false
	for at, id := range s.Tokens {
		if l := s.Learns(at); l != was {
			b.WriteString(map[bool]string{true: "[", false: "]"}[l])
			was = l
		}
		if at == s.PromptLen {
			b.WriteByte('^')
		}
		b.WriteByte(byte(id))
	}
	if was {
		b.WriteByte(']')
	}
	return b.String()
}

func TestConversationsByHand(t *testing.T) {
	w := spans{text: "$ask<tell|more<say|end", learned: []string{"<tell|", "<say|"}}
	for _, c := range []struct {
		name   string
		format datasets.Format
		want   string
	}{
		{"all turns", datasets.Format{Writer: w, BOS: -1, EOS: '|', Turns: datasets.AllTurns}, "$ask[<tell|]more[^<say|]"},
		{"the last", datasets.Format{Writer: w, BOS: -1, EOS: '|'}, "$ask<tell|more[^<say|]"},
		{"the template writes BOS", datasets.Format{Writer: w, BOS: '$', EOS: '|'}, "$ask<tell|more[^<say|]"},
		{"it does not", datasets.Format{Writer: w, BOS: '%', EOS: '|'}, "%$ask<tell|more[^<say|]"},
	} {
		e := datasets.Example{Messages: `[{"role":"user"}]`, Response: "say"}
		list, _, err := datasets.Encode(t.Context(), bytewise{}, []datasets.Example{e}, c.format)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := masked(list[0]); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Offsets for a teacher are of the last turn alone, whatever is learned.
func TestBatchOfAConversation(t *testing.T) {
	s := []datasets.Sequence{{Tokens: []int32{1, 2, 3, 4, 5, 6}, PromptLen: 4, Weight: 2,
		Learned: []bool{false, true, false, false, true, true}}}
	b := batchAt(t, batches(t, s, datasets.BatchOptions{Rows: 1, ResponseWeight: 1, PromptWeight: 0.25}), 0, 0)
	if want := []float32{2, 0.5, 0.5, 2, 2, 0}; !reflect.DeepEqual(b.Weights, want) {
		t.Errorf("weights %v, want %v", b.Weights, want)
	}
	if want := []int32{-1, -1, -1, 0, 1, -1}; !reflect.DeepEqual(b.Offset, want) {
		t.Errorf("offsets %v, want %v", b.Offset, want)
	}
}

// No mark stands twice, whoever wrote it.
func TestMarksAreNotDoubled(t *testing.T) {
	f := datasets.Format{BOS: '$', EOS: '|'}
	for _, e := range []datasets.Example{example("ask", "say"), example("$ask", "say"), example("ask", "say|"), example("$ask", "say|")} {
		list, _, err := datasets.Encode(t.Context(), bytewise{}, []datasets.Example{e}, f)
		if err != nil {
			t.Fatal(err)
		}
		if got := masked(list[0]); got != "$ask[^say|]" {
			t.Errorf("%q, %q: %s", e.Prompt, e.Response, got)
		}
	}
}

// chatty writes a message as r:content, with the assistant's ended by |.
type chatty struct{ datasets.Plain }

func (chatty) text(q datasets.Question) (string, error) {
	var messages []struct{ Role, Content string }
	if q.Messages == "" {
		return "u:" + q.Text + " ", nil
	}
	if err := json.Unmarshal([]byte(q.Messages), &messages); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s:%s ", m.Role[:1], m.Content)
	}
	return b.String(), nil
}

func (c chatty) Prompt(q datasets.Question) (string, error) { return c.text(q) }

func (c chatty) Conversation(q datasets.Question, turn string, _ datasets.Turns) (datasets.Written, error) {
	before, err := c.text(q)
	var answer struct{ Content string }
	err = errors.Join(err, json.Unmarshal([]byte(turn), &answer))
	text := before + answer.Content + "|"
	return datasets.Written{Text: text, Learned: []datasets.Span{{Start: len(before), End: len(text)}}}, err
}

func TestTooLong(t *testing.T) {
	const talk = `[{"role":"system","content":"S"},{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":"three"}]`
	for _, c := range []struct {
		name, policy, messages, prompt string
		max                            int
		want                           string // "" if it is lost
		reason                         datasets.Reason
	}{
		{"left, plain", datasets.TruncateLeft, "", "abcdefgh", 9, "u:gh [^yes|]", ""},
		{"left, plain, characters whole", datasets.TruncateLeft, "", "abcdeéé", 9, "u:\xc3\xa9 [^yes|]", ""},
		{"left, nothing fits", datasets.TruncateLeft, "", "abcdefgh", 7, "", datasets.TooLong},
		{"right, plain", datasets.TruncateRight, "", "abc", 8, "u:abc [^ye]", ""},
		{"right, no response left", datasets.TruncateRight, "", "abc", 6, "", datasets.NothingLearned},
		{"drop", datasets.DropTooLong, "", "abc", 6, "", datasets.TooLong},
		{"left, whole turns", datasets.TruncateLeft, talk, "", 20, "s:S u:three [^yes|]", ""},
		{"left, then text", datasets.TruncateLeft, talk, "", 14, "s:S u:ree [^yes|]", ""},
		{"left, the last turn is too much", datasets.TruncateLeft, talk, "", 11, "", datasets.TooLong},
		{"right, conversation", datasets.TruncateRight, talk, "", 28, "s:S u:one a:two u:three [^yes|]", ""},
		{"right, conversation, cut", datasets.TruncateRight, talk, "", 26, "s:S u:one a:two u:three [^ye]", ""},
	} {
		e := datasets.Example{ID: "x", Prompt: c.prompt, Messages: c.messages, Response: "yes"}
		var got datasets.Encoded
		f := datasets.Format{Writer: chatty{}, BOS: -1, EOS: '|', MaxTokens: c.max, TooLong: c.policy, NothingLearned: datasets.DropUnlearned}
		_, err := datasets.EncodeEach(t.Context(), bytewise{}, datasets.Each([]datasets.Example{e}), f, func(x *datasets.Encoded) error {
			got = *x
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.want == "" {
			if got.Lost == nil || got.Lost.Reason != c.reason {
				t.Errorf("%s: %s, lost %+v, want %s", c.name, masked(got.Sequence), got.Lost, c.reason)
			}
			continue
		}
		if got.Lost != nil || masked(got.Sequence) != c.want {
			t.Errorf("%s: %s, lost %+v, want %s", c.name, masked(got.Sequence), got.Lost, c.want)
		}
		if len(got.Tokens) > c.max {
			t.Errorf("%s: %d tokens", c.name, len(got.Tokens))
		}
	}
}

// Where the last turn is cut away, earlier ones may be learned.
func TestCutBeforeTheLastTurn(t *testing.T) {
	w := spans{text: "$ask<tell|more<say|", learned: []string{"<tell|", "<say|"}}
	f := datasets.Format{Writer: w, BOS: -1, EOS: '|', Turns: datasets.AllTurns, MaxTokens: 12, TooLong: datasets.TruncateRight}
	list, counts, err := datasets.Encode(t.Context(), bytewise{}, []datasets.Example{{Messages: "[]", Response: "say"}}, f)
	if err != nil || counts.Cut != 1 || masked(list[0]) != "$ask[<tell|]mo" {
		t.Fatalf("%+v, %+v, %v", list, counts, err)
	}
	if b := batches(t, list, datasets.BatchOptions{Rows: 1, ResponseWeight: 1}); b.Learned() != 6 {
		t.Errorf("%d learned, want 6", b.Learned())
	}
}

func TestNothingLearnedIsAnError(t *testing.T) {
	var list []datasets.Example
	for i := range 100 {
		e := example("q", "a")
		if i%10 == 3 {
			e.Response = ""
		}
		e.Row = i
		list = append(list, e)
	}
	_, _, err := datasets.Encode(t.Context(), bytewise{}, list, datasets.Format{BOS: -1, EOS: -1})
	wantError(t, "nothing learned", err, "5 of the first 44 examples", "f.parquet row 3 (example id-q): the response has no token", "row 43", "nothing_learned: drop")
	_, counts, err := datasets.Encode(t.Context(), bytewise{}, list, datasets.Format{BOS: -1, EOS: -1, NothingLearned: datasets.DropUnlearned})
	if err != nil || counts.Unlearned != 10 || counts.Sequences != 90 || len(counts.First) != 5 {
		t.Errorf("%+v, %v", counts, err)
	}
}
