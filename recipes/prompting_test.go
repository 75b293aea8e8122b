package recipes

import (
	"encoding/json"
	"github.com/retort-ml/retort/datasets"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/pipeline"
)

// turns is a chat template whose turns end with the tokenizer's end token, and
// which writes something before answers.
const turns = `{% for m in messages %}{{ '<' + m.role + '>' }}{% if m.role == 'assistant' %}{{ '(thinks) ' }}{% endif %}{{ m.content | trim + eos_token + '\n' }}{% endfor %}` +
	`{% if add_generation_prompt %}<assistant>{% endif %}`

// chatModel is goldenModel with a chat template.
func chatModel(t *testing.T, template string) string {
	t.Helper()
	dir := goldenModel(t, 300)
	if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(template), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPromptsAreTurns(t *testing.T) {
	l, err := loadPath(chatModel(t, turns))
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := l.tokenizer.EOS()
	end, _ := l.tokenizer.Token(eos)
	if l, err = l.asked(&chatOptions{System: "Be brief."}, ""); err != nil {
		t.Fatal(err)
	}
	prompt, err := l.writer.Prompt(datasets.Ask(" hi "))
	if want := "<system>Be brief." + end + "\n<user>hi" + end + "\n<assistant>"; err != nil || prompt != want {
		t.Errorf("prompt %q, %v, want %q", prompt, err, want)
	}
	response, err := l.writer.Response("yo \n")
	if err != nil || response != "(thinks) yo" {
		t.Errorf("response %q, %v", response, err)
	}
	if answer := l.writer.Answer("(thinks) yo "); answer != "yo" {
		t.Errorf("answer %q", answer)
	}
	if l.bos != -1 || l.stop[0] != eos || slices.Contains(l.stop[1:], eos) {
		t.Errorf("begins with %d, stops at %v: want -1 and %d first", l.bos, l.stop, eos)
	}
}

// A template prints all special tokens that the model's directory names, and a
// prompting without them has another ID.
func TestPromptsHaveTheDirectorysTokens(t *testing.T) {
	ids := map[string]bool{}
	for _, name := range []string{"eos_token", "cls_token"} {
		dir := chatModel(t, "{{ cls_token }}"+turns)
		l, err := loadPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		eos, _ := l.tokenizer.EOS()
		end, _ := l.tokenizer.Token(eos)
		path := filepath.Join(dir, "special_tokens_map.json")
		data, err := json.Marshal(map[string]string{"eos_token": end, name: end})
		if err == nil {
			err = os.WriteFile(path, data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		if l, err = l.asked(&chatOptions{}, ""); err != nil {
			t.Fatal(err)
		}
		prompt, err := l.writer.Prompt(datasets.Ask("hi"))
		if want := "<user>"; err != nil || strings.HasPrefix(prompt, end+want) != (name == "cls_token") {
			t.Errorf("with %s: prompt %q, %v", name, prompt, err)
		}
		ids[l.writer.ID()] = true
	}
	if len(ids) != 2 {
		t.Error("the special tokens are not in the ID")
	}
}

func TestChatsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name, template string
		options        chatOptions
		want           string
	}{
		{"no template", "", chatOptions{}, "the model has no chat template: set chat.template"},
		{"end of several tokens", "", chatOptions{Template: "chatml"}, `it ends answers with "<|im_end|>", which is not one token of this tokenizer`},
		{"no end", `{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}`, chatOptions{}, "end-of-turn"},
		{"an answer that is changed", strings.Replace(turns, "trim", "upper", 1), chatOptions{}, "it writes the answer"},
		{"a date", strings.Replace(turns, "m.role", "strftime_now('%Y') + m.role", 1), chatOptions{}, "asks for the date"},
		{"a missing file", turns, chatOptions{Template: "none/such.jinja"}, "none/such.jinja"},
		{"a broken template", "{% for %}", chatOptions{}, "chat template"},
	} {
		dir := goldenModel(t, 300)
		if c.template != "" {
			dir = chatModel(t, c.template)
		}
		l, err := loadPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = l.asked(&c.options, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestChatOptionsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"{template: chatlm}":             "chatml",
		"{now: yesterday}":               "2026-01-15",
		"{template: none, system: Hush}": "plain prompts have no system turn",
		"{sytem: Hush}":                  "system",
	} {
		recipe := "version: 1\nname: x\nmodels:\n  m: {path: p, chat: " + text + "}\nstages:\n  data: {kind: dataset, files: a.jsonl, columns: {prompt: p}}\n"
		if _, err := Parse("x.yaml", []byte(recipe)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.yaml:4") {
			t.Errorf("%s: error %v, want line 4 and %q", text, err, want)
		}
	}
}

// chatted is a recipe whose models are all asked by the template of the first.
const chatted = `version: 1
name: chatted
models:
  m: {path: MODEL, chat: {system: Be brief.}}
  other: {path: MODEL, chat: {system: Be verbose.}}
stages:
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, split: {test: 0.5}}
  said: {kind: answers, teacher: m, from: data.train, top_k: 4, max_tokens: 4}
  tuned: {kind: train, student: m, on: said, distill: {alpha: 1}, lora: {r: 4}, merge: true, batch: {rows: 2, length: 128}, steps: 1}
  wrong: {kind: train, student: other, on: said, distill: {alpha: 1}, lora: {r: 4}, batch: {rows: 2, length: 128}, steps: 1}
  q8: {kind: quantize, model: tuned}
  report: {kind: eval, on: data.test, models: [m, tuned, tuned.merged, q8], metrics: [accuracy, exact_match], max_new_tokens: 4}
`

// The template and the tokenizer are named in every artifact, and their
// disagreement is an error.
func TestPromptingTravels(t *testing.T) {
	text := strings.NewReplacer("MODEL", chatModel(t, turns), "ROWS", rowsFile(t, 12, 26)).Replace(chatted)
	r, err := Parse("chatted.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	record, store := runStages(t, r, "report")
	l, err := r.load(nil, "m")
	if err != nil {
		t.Fatal(err)
	}
	want := l.promptingRecord()
	dirs := map[string]string{}
	for _, s := range record.Stages {
		a, err := store.Artifact(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		dirs[s.Name] = a.Dir
	}
	for _, stage := range []string{"tuned", "q8"} {
		var have promptingRecord
		data, err := os.ReadFile(filepath.Join(dirs[stage], promptingFile))
		if err == nil {
			err = json.Unmarshal(data, &have)
		}
		if err != nil || have.ChatTemplate != want.ChatTemplate || have.Prompting != want.Prompting || have.System != "Be brief." {
			t.Errorf("%s: %+v, %v, want template %s", stage, have, err, want.ChatTemplate)
		}
	}
	f, err := gguf.Open(filepath.Join(dirs["q8"], "model-Q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, _, err := gguf.Get[string](f.Metadata(), "tokenizer.chat_template"); err != nil || got != turns {
		t.Errorf("the GGUF file has template %q, %v", got, err)
	}
	for _, name := range []string{"answers.json", "report.json"} {
		stage := map[string]string{"answers.json": "said", "report.json": "report"}[name]
		if data, err := os.ReadFile(filepath.Join(dirs[stage], name)); err != nil || !strings.Contains(string(data), want.ChatTemplate) {
			t.Errorf("%s does not name the template: %v", name, err)
		}
	}

	if _, err := pipeline.Run(t.Context(), store, r.Pipeline(store.Dir()), pipeline.Options{Targets: []string{"wrong"}}); err == nil ||
		!strings.Contains(err.Error(), "its probabilities are of other texts") {
		t.Errorf("a student that is asked otherwise than its teacher: %v", err)
	}

	// Another template beside the merged model is noticed.
	path := filepath.Join(dirs["tuned"], modelDir, "chat_template.jinja")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(turns, "thinks", "wonders", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := r.loadMade("tuned.merged", dirs["tuned"], modelDir); err == nil || !strings.Contains(err.Error(), "was made with chat template") {
		t.Errorf("a changed template: %v", err)
	}
}
