package recipes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/chat"
	"github.com/retort-ml/retort/pipeline"
)

const talk = `[{"role":"user","content":"the quick fox"},{"role":"assistant","content":"jumps over"},` +
	`{"role":"user","content":"seven wizards"},{"role":"assistant","content":"mix vodka"},{"role":"user","content":"boxing?"}]`

func talking() datasets.Example {
	return datasets.Example{ID: "t", Prompt: "boxing?", Messages: talk, Response: "gloves with"}
}

// reading makes a student of a tokenizer that is asked with a chat template.
func reading(t *testing.T, path string, o *chatOptions) *loaded {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs ", path)
	}
	tok, err := tokenizerAt(path)
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := tok.EOS()
	l := &loaded{tokenizer: tok, path: path, writer: datasets.Plain{}, bos: bosOf(tok), stop: []int32{eos}}
	if err := l.setPrompting(o); err != nil {
		t.Fatal(err)
	}
	return l
}

// The tokens and masks of conversations are those of the whole text, tokenized at
// once, of which chat says what is learned.
func TestMasksAreThoseOfTheWholeText(t *testing.T) {
	for _, c := range []struct {
		name, path string
		options    chatOptions
	}{
		{"trained", chatModel(t, turns), chatOptions{System: "be brief"}},
		{"phi-3", "../../shared/fixtures/tokenizers/ggml-vocab-phi-3.gguf", chatOptions{Template: "../../shared/fixtures/chat-templates/microsoft-Phi-3.5-mini-instruct.jinja"}},
	} {
		for which, turns := range map[datasets.Turns]chat.Turns{datasets.AllTurns: chat.AllTurns, datasets.LastTurn: chat.LastTurn} {
			t.Run(c.name+" "+string(which), func(t *testing.T) {
				l := reading(t, c.path, &c.options)
				f := learning{Learn: which}.format(l, 1000, false)
				e := talking()
				got, _, err := datasets.Encode(t.Context(), l.tokenizer, []datasets.Example{e}, f)
				if err != nil {
					t.Fatal(err)
				}
				whole, err := l.writer.(*chatPrompting).conversation(e.Question(), chat.Text("assistant", e.Response), turns)
				if err != nil {
					t.Fatal(err)
				}
				var ids []int32
				var offsets [][2]int
				for _, x := range l.tokenizer.EncodeTokens(whole.Text, false) {
					end := x.End
					if l.tokenizer.IsSpecial(x.ID) { // some swallow the white space after them
						end = x.Start + len(strings.TrimRight(whole.Text[x.Start:x.End], " \n"))
					}
					ids, offsets = append(ids, x.ID), append(offsets, [2]int{x.Start, end})
				}
				mask, err := chat.Tokens(whole.Spans, offsets)
				if err != nil {
					t.Fatal(err)
				}
				n := len(got[0].Tokens) // what follows the last turn is left out
				if n > len(ids) || !slices.Equal(got[0].Tokens, ids[:n]) || slices.Contains(mask[n:], true) {
					t.Fatalf("tokens %v, want the first of %v", got[0].Tokens, ids)
				}
				for at := range n {
					if got[0].Learns(at) != mask[at] {
						t.Errorf("token %d: learned %v, want %v", at, got[0].Learns(at), mask[at])
					}
				}
				if last := got[0].Tokens[n-1]; last != l.stop[0] {
					t.Errorf("the last token is %d, want the end token %d", last, l.stop[0])
				}
				if n := len(got[0].Tokens) - got[0].PromptLen; n > 12 || n < 2 {
					t.Errorf("the answer has %d tokens", n)
				}
			})
		}
	}
}

// The prompt of a conversation whose last turn is learned is what the student is
// asked with, token by token, and the response what it would generate.
func TestConversationsAreLearnedAsAsked(t *testing.T) {
	l := reading(t, chatModel(t, turns), &chatOptions{})
	e := talking()
	got, _, err := datasets.Encode(t.Context(), l.tokenizer, []datasets.Example{e}, learning{}.format(l, 1000, false))
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := l.writer.Prompt(e.Question())
	if err != nil {
		t.Fatal(err)
	}
	if want := l.tokenizer.Encode(prompt, false); !slices.Equal(got[0].Tokens[:got[0].PromptLen], want) {
		t.Errorf("prompt %v, want %v", got[0].Tokens[:got[0].PromptLen], want)
	}
	response, err := l.writer.Response(e.Response)
	if err != nil {
		t.Fatal(err)
	}
	if want := append(l.tokenizer.Encode(response, false), l.stop[0]); !slices.Equal(got[0].Tokens[got[0].PromptLen:], want) {
		t.Errorf("response %v, want %v", got[0].Tokens[got[0].PromptLen:], want)
	}
}

// A template that writes BOS writes the only one, and tools reach it.
func TestTemplatesWriteBOSAndTools(t *testing.T) {
	dir := chatModel(t, "{{ bos_token }}{% if tools %}{{ tools | tojson }}{% endif %}"+turns)
	l := reading(t, dir, &chatOptions{})
	bos, ok := l.tokenizer.BOS()
	if !ok {
		t.Fatal("no BOS")
	}
	e := talking()
	e.Tools = `[{"type":"function","function":{"name":"fox_speed"}}]`
	plain := e
	plain.Messages = ""
	for _, x := range []datasets.Example{e, plain} {
		got, _, err := datasets.Encode(t.Context(), l.tokenizer, []datasets.Example{x}, learning{}.format(l, 1000, false))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, id := range got[0].Tokens {
			if id == bos {
				n++
			}
		}
		if text := l.tokenizer.Decode(got[0].Tokens, false); n != 1 || got[0].Tokens[0] != bos || !strings.Contains(text, "fox_speed") {
			t.Errorf("%d times BOS in %q", n, text)
		}
	}
}

// A conversation of plain prompts is refused, and names the row.
func TestConversationsNeedATemplate(t *testing.T) {
	l := reading(t, goldenModel(t, 300), nil)
	e := talking()
	e.File, e.Row = "talks.jsonl", 7
	_, _, err := datasets.Encode(t.Context(), l.tokenizer, []datasets.Example{e}, learning{}.format(l, 100, false))
	if !errors.Is(err, datasets.ErrNoTurns) || !strings.Contains(err.Error(), "talks.jsonl row 7") {
		t.Errorf("got %v", err)
	}
}

// shared is a recipe whose train stages learn the same from a split and from tokens of it.
const shared = `version: 1
name: shared
seed: 4
stages:
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, split: {test: 0.2}}
  tok: {kind: tokenizer, on: data.train, vocab_size: 300}
  other: {kind: tokenizer, on: data.train, vocab_size: 290}
  encoded: {kind: tokens, tokenizer: tok, on: data.train, length: 64}
  direct: {kind: train, new: SIZE, tokenizer: tok, on: data.train, batch: {rows: 2, length: 64}, steps: 6}
  cached: {kind: train, new: SIZE, tokenizer: tok, on: encoded, valid: data.test, batch: {rows: 2, length: 64}, steps: 6}
  wrong: {kind: train, new: SIZE, tokenizer: other, on: encoded, batch: {rows: 2, length: 64}, steps: 6}
`

func TestTokensStageGivesTheSameBatches(t *testing.T) {
	text := strings.NewReplacer("ROWS", rowsFile(t, 60, 50), "SIZE", tinySize).Replace(shared)
	r, err := Parse("shared.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	record, store := runStages(t, r, "direct", "cached")
	weights := map[string][]byte{}
	for _, s := range record.Stages {
		a, err := store.Artifact(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != "direct" && s.Name != "cached" {
			continue
		}
		if weights[s.Name], err = os.ReadFile(filepath.Join(a.Dir, modelDir, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if len(weights["direct"]) == 0 || !slices.Equal(weights["direct"], weights["cached"]) {
		t.Error("training from tokens gives another model")
	}
	_, err = pipeline.Run(t.Context(), store, r.Pipeline(store.Dir()), pipeline.Options{Targets: []string{"wrong"}})
	if err == nil || !strings.Contains(err.Error(), "the tokens of encoded are of another student: other tokenizer") {
		t.Errorf("another tokenizer: %v", err)
	}
}

func TestTokensStagesAreChecked(t *testing.T) {
	rows := rowsFile(t, 4, 20)
	for set, want := range map[string]string{
		"encoded.on=tok":             `unknown dataset "tok"`,
		"encoded.student=direct":     "stages.encoded.tokenizer: a student brings its own tokenizer",
		"encoded.tokenizer=data":     `unknown tokenizer stage "data"`,
		"encoded.tokenizer=":         "want a student, or a tokenizer stage",
		"encoded.length=-1":          "stages.encoded.length: -1",
		"encoded.learn=first":        `stages.encoded.learn: unknown value "first"`,
		"encoded.nothing_learned=ok": `stages.encoded.nothing_learned: unknown value "ok"`,
		"cached.prompts_only=true":   "stages.cached.on: prompts_only is false of the tokens stage encoded and true here",
		"wrong.too_long=error":       "stages.wrong.too_long: the tokens stage encoded has decided that",
		"direct.distill.alpha=0.5":   "data.train has no teacher's probabilities",
	} {
		text := strings.NewReplacer("ROWS", rows, "SIZE", tinySize).Replace(shared)
		_, err := Parse("shared.yaml", []byte(text), set)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}

// What Preview says is what Encode does.
func TestPreview(t *testing.T) {
	dir := chatModel(t, turns)
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	var rows strings.Builder
	for i := range 30 {
		fmt.Fprintf(&rows, "{\"text\": \"fox %d %s\", \"label\": \"low\"}\n", i, strings.Repeat("jumps ", i))
	}
	if err := os.WriteFile(path, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := Parse("p.yaml", []byte(fmt.Sprintf(`version: 1
name: p
seed: 3
models: {base: {path: %q, chat: {}}}
stages:
  data: {kind: dataset, files: %q, columns: {prompt: text, response: label}}
  tuned: {kind: train, student: base, on: data.train, lora: {r: 2}, too_long: truncate_left, accumulate: 2, batch: {rows: 2, length: 64}}
`, dir, path)))
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	p, err := r.Preview(t.Context(), none, PreviewOptions{Rows: 3})
	if err != nil {
		t.Fatal(err)
	}
	if p.Counts.Examples != 30 || p.Counts.Sequences != 30 || p.Counts.Cut == 0 || p.Statistics.Total.Max != 64 {
		t.Errorf("counts %+v, statistics %+v", p.Counts, p.Statistics)
	}
	if k := p.Packing; k == nil || k.Steps != (k.Batches+1)/2 || !(k.Fill > 0.5 && k.Fill <= 1) {
		t.Errorf("packing %+v", p.Packing)
	}
	end, _ := reading(t, dir, &chatOptions{}).tokenizer.Token(reading(t, dir, &chatOptions{}).stop[0])
	want := []PreviewPart{{Text: "<user>fox 0" + end + "\n<assistant>"}, {Text: "(thinks) low" + end, Learned: true}}
	for i := range p.Examples[0].Parts {
		p.Examples[0].Parts[i].IDs = nil
	}
	if !reflect.DeepEqual(p.Examples[0].Parts, want) {
		t.Errorf("parts %+v, want %+v", p.Examples[0].Parts, want)
	}
	seed := uint64(1)
	other, err := r.Preview(t.Context(), none, PreviewOptions{Rows: 3, Seed: &seed, Stage: "tuned"})
	if err != nil || len(other.Examples) != 3 || other.Examples[0].Row == 0 && other.Examples[1].Row == 1 && other.Examples[2].Row == 2 {
		t.Errorf("a random choice: %+v, %v", other, err)
	}
	if _, err := r.Preview(t.Context(), none, PreviewOptions{Valid: true}); err == nil || !strings.Contains(err.Error(), "has no validation data") {
		t.Errorf("validation: %v", err)
	}
}

// More tokens than are kept in memory are in a cache in the stage's scratch, and
// a run that is interrupted finds them there.
func TestManyTokensAreCached(t *testing.T) {
	if testing.Short() {
		t.Skip("encodes 5 million tokens")
	}
	rows := rowsFile(t, 1500, 16_000)
	text := strings.NewReplacer("ROWS", rows, "SIZE", "{hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2}", "64", "6000", "rows: 2", "rows: 1", "steps: 6", "steps: 30").Replace(shared)
	r, err := Parse("shared.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	store, err := pipeline.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = pipeline.Run(ctx, store, r.Pipeline(store.Dir()), pipeline.Options{Targets: []string{"direct"}, Observer: &interrupter{unit: "steps", cancel: cancel}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	var caches []string
	filepath.WalkDir(store.Dir(), func(path string, _ fs.DirEntry, _ error) error {
		if filepath.Base(path) == "tokens.json" {
			caches = append(caches, path)
		}
		return nil
	})
	if len(caches) != 1 || filepath.Base(filepath.Dir(caches[0])) != "tokens-data.train" {
		t.Fatalf("caches %v, want one of data.train", caches)
	}
	again := false
	_, err = pipeline.Run(t.Context(), store, r.Pipeline(store.Dir()), pipeline.Options{Targets: []string{"direct"},
		Observer: &interrupter{unit: "examples encoded", cancel: func() { again = true }}})
	if err != nil {
		t.Fatal(err)
	}
	if again {
		t.Error("the run that went on encoded again what was there")
	}
}

// interrupter cancels at the first progress in a unit.
type interrupter struct {
	unit   string
	cancel func()
}

func (i *interrupter) Progress(p pipeline.Progress) {
	if p.Unit == i.unit {
		i.cancel()
	}
}

func (*interrupter) Started(string, string)        {}
func (*interrupter) Measured(pipeline.Event)       {}
func (*interrupter) Reused(pipeline.StageRecord)   {}
func (*interrupter) Finished(pipeline.StageRecord) {}
func (*interrupter) Warning(string, string)        {}
func (*interrupter) Log(string, string)            {}
