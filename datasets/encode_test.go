package datasets_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

// bytewise is a tokenizer whose ids are bytes. Its special tokens must not
// appear: Format alone says where sequences begin and end.
type bytewise struct{}

func (bytewise) Encode(text string, addSpecial bool) []int32 {
	var ids []int32
	if addSpecial {
		ids = append(ids, 999)
	}
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids
}

type negative struct{}

func (negative) Encode(string, bool) []int32 { return []int32{3, -7} }

func example(prompt, response string) datasets.Example {
	return datasets.Example{ID: "id-" + prompt, Prompt: prompt, Response: response, File: "f.parquet", Row: 5}
}

// turns writes prompts after < and responses after >, and refuses the text "!".
type turns struct{ datasets.Plain }

func (turns) Prompt(q datasets.Question) (string, error) { return "<" + q.Text, nil }

func (turns) Response(text string) (string, error) {
	if text == "!" {
		return "", errors.New("not a turn")
	}
	return ">" + text, nil
}

func TestEncode(t *testing.T) {
	examples := []datasets.Example{example("ab", "c")}
	for _, c := range []struct {
		name   string
		format datasets.Format
		want   []int32
		prompt int
	}{
		{"all parts", datasets.Format{Writer: turns{}, BOS: 1, EOS: 2}, []int32{1, '<', 'a', 'b', '>', 'c', 2}, 4},
		{"no marks", datasets.Format{Writer: turns{}, BOS: -1, EOS: -1}, []int32{'<', 'a', 'b', '>', 'c'}, 3},
		{"the ids 0", datasets.Format{}, []int32{0, 'a', 'b', 'c', 0}, 3},
		{"prompt only", datasets.Format{Writer: turns{}, BOS: 1, EOS: 2, OmitResponse: true}, []int32{1, '<', 'a', 'b'}, 4},
	} {
		got, skipped, err := datasets.Encode(t.Context(), bytewise{}, examples, c.format)
		if err != nil || skipped.Lost() != 0 {
			t.Errorf("%s: %v, skipped %+v", c.name, err, skipped)
			continue
		}
		if want := []datasets.Sequence{{Tokens: c.want, PromptLen: c.prompt}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, want)
		}
	}
}

func TestEncodeCountsWhatItSkips(t *testing.T) {
	examples := []datasets.Example{example("", "a"), example("b", ""), example("c", strings.Repeat("x", 20)), example("d", "e")}
	f := datasets.Format{BOS: -1, EOS: -1, MaxTokens: 20, NothingLearned: datasets.DropUnlearned}
	got, skipped, err := datasets.Encode(t.Context(), bytewise{}, examples, f)
	if err != nil {
		t.Fatal(err)
	}
	want := datasets.EncodeCounts{Examples: 4, Sequences: 1, TooLong: 1, Unlearned: 2, First: []datasets.Lost{
		{ID: "id-", File: "f.parquet", Row: 5, Reason: datasets.EmptyPrompt, Why: "no token comes before the response, so nothing could predict its first"},
		{ID: "id-b", File: "f.parquet", Row: 5, Reason: datasets.EmptyResponse, Why: "the response has no token"},
		{ID: "id-c", File: "f.parquet", Row: 5, Reason: datasets.TooLong, Why: "21 tokens, more than 20"}}}
	if !reflect.DeepEqual(skipped, want) {
		t.Errorf("skipped %+v, want %+v", skipped, want)
	}
	if len(got) != 1 || got[0].Example != 3 {
		t.Errorf("sequences %+v, want that of example 3", got)
	}
	f.TooLong = datasets.ErrorTooLong
	_, _, err = datasets.Encode(t.Context(), bytewise{}, examples, f)
	wantError(t, "too long", err, "id-c", "f.parquet row 5", "21 tokens, more than 20")
}

func TestEncodeErrors(t *testing.T) {
	_, _, err := datasets.Encode(t.Context(), bytewise{}, nil, datasets.Format{BOS: -2, EOS: -9, MaxTokens: -1, TooLong: "cut", Turns: "some", NothingLearned: "cry"})
	wantError(t, "format", err, "BOS: -2", "EOS: -9", "max tokens: -1", `too long: "cut": want one of [drop error truncate_left truncate_right]`, `turns: "some"`, `nothing learned: "cry"`)
	_, _, err = datasets.Encode(t.Context(), negative{}, []datasets.Example{example("a", "b")}, datasets.Format{BOS: -1, EOS: -1})
	wantError(t, "a negative id", err, "id-a", "the id -7")
	_, _, err = datasets.Encode(t.Context(), bytewise{}, []datasets.Example{example("a", "!")}, datasets.Format{Writer: turns{}})
	wantError(t, "a writer's error", err, "id-a", "f.parquet row 5", "not a turn")
}

// An example's weight becomes that of its tokens, also where it was cut to fit.
func TestWeightsAreKept(t *testing.T) {
	examples := []datasets.Example{example("ab", "c"), example(strings.Repeat("x", 20), "c"), example(strings.Repeat("y", 20), "c")}
	examples[1].Weight, examples[2].Weight = 0.25, 2
	for _, tooLong := range []string{datasets.TruncateLeft, datasets.TruncateRight} {
		list, _, err := datasets.Encode(t.Context(), bytewise{}, examples, datasets.Format{BOS: -1, EOS: -1, MaxTokens: 15, TooLong: tooLong, NothingLearned: datasets.DropUnlearned, OmitResponse: true})
		if err != nil || len(list) != 3 {
			t.Fatalf("%s: %d sequences, %v", tooLong, len(list), err)
		}
		for i, want := range []float32{0, 0.25, 2} {
			if list[i].Weight != want {
				t.Errorf("%s: example %d weighs %v, want %v", tooLong, i, list[i].Weight, want)
			}
		}
	}
}
