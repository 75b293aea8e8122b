package chat_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/chat"
	"github.com/retort-ml/retort/internal/chat/jinja"
)

const marked = `{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{{ "\n" }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`

func talk() []chat.Message {
	return []chat.Message{chat.Text("user", "q1"), chat.Text("assistant", "a1"), chat.Text("user", "q2"), chat.Text("assistant", "a2")}
}

func TestLearned(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opts       chat.LearnOptions
		want       []string
		err        string
	}{
		{name: "prefixes", text: marked, want: []string{"a1<|end|>", "a2<|end|>"}},
		{name: "last turn", text: marked, opts: chat.LearnOptions{Turns: chat.LastTurn}, want: []string{"a2<|end|>"}},
		{name: "end of the conversation", text: strings.Replace(marked, "{% if", "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}{% if", 1), want: []string{"a1<|end|>", "a2<|end|>"}},
		{name: "prompt unasked", text: strings.Replace(marked, "{% if add_generation_prompt %}", "{% if true %}", 1), want: []string{"a1<|end|>", "a2<|end|>"}},
		{name: "eos alone", text: `{% for m in messages %}{% if m.role == "user" %}[U]{{ m.content }}[/U]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}`, want: []string{" a1</s>", " a2</s>"}},
		{name: "generation with the end", text: `{% for m in messages %}{{ m.role }}:{% if m.role == "assistant" %}{% generation %}{{ m.content }}<|end|>{{ "\n" }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}`, want: []string{"a1<|end|>", "a2<|end|>"}},
		{name: "generation without the end", text: `{% for m in messages %}{% if m.role == "assistant" %}{% generation %}{{ m.content }}{% endgeneration %}<|end|>{% else %}{{ m.content }}{% endif %}{% endfor %}`, want: []string{"a1<|end|>", "a2<|end|>"}},
		{name: "end named by the caller", text: strings.ReplaceAll(marked, "<|end|>", "#"), opts: chat.LearnOptions{EndTokens: []string{"#"}}, want: []string{"a1#", "a2#"}},
		{name: "no end", text: strings.ReplaceAll(marked, "<|end|>", ""), err: "message 1: no end-of-turn token"},
		{name: "prefixes broken", text: `{% for m in messages %}<|{{ m.role }}|>{% if m.role == "assistant" and loop.last %}<think>{% endif %}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`, err: "message 1: the template does not preserve prefixes"},
		{name: "generation in a macro", text: `{% macro f(m) %}{% generation %}{{ m }}{% endgeneration %}{% endmacro %}{{ f(1) }}`, err: "macro"},
	} {
		tpl, err := chat.Parse(c.text, map[string]string{"eos_token": "</s>"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := tpl.Learned(chat.Request{Messages: talk()}, c.opts)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var spans []string
		for _, s := range got.Spans {
			spans = append(spans, got.Text[s.Start:s.End])
		}
		if !slices.Equal(spans, c.want) {
			t.Errorf("%s: learns %q of %q, want %q", c.name, spans, got.Text, c.want)
		}
	}
}

func TestFallbacks(t *testing.T) {
	want := map[string]string{
		"chatml": "<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\na1<|im_end|>\n<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\na2<|im_end|>\n",
		"llama2": "<s>[INST] q1 [/INST] a1 </s><s>[INST] q2 [/INST] a2 </s>",
		"alpaca": "<s>### Instruction:\nq1\n\n### Response:\na1</s>\n\n### Instruction:\nq2\n\n### Response:\na2</s>\n\n",
		"raw":    "<s>q1a1</s>q2a2</s>",
	}
	set := chat.FromText("", "", map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
	if _, err := set.Choose("", false); !errors.Is(err, chat.ErrNone) {
		t.Errorf("without a template: %v", err)
	}
	for _, name := range chat.FallbackNames() {
		tpl, err := set.Fallback(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := tpl.Learned(chat.Request{Messages: talk()}, chat.LearnOptions{})
		if err != nil || c.Text != want[name] || len(c.Spans) != 2 {
			t.Errorf("%s: %q %v, %v, want %q", name, c.Text, c.Spans, err, want[name])
		}
	}
}

func TestLoad(t *testing.T) {
	config := `{"eos_token":{"content":"<e>"},"extra_special_tokens":{"image_token":"<i>"},"chat_template":[{"name":"default","template":"{{ eos_token }}{{ bos_token }}{{ image_token }}"},{"name":"tool_use","template":"T"}]}`
	tokens := `{"bos_token":"<b>","eos_token":"<other>"}`
	for _, c := range []struct {
		name, choose string
		tools        bool
		files        map[string]string
		want, err    string
	}{
		{name: "named", want: "<e><b><i>"},
		{name: "tools", tools: true, want: "T"},
		{name: "file first", files: map[string]string{"chat_template.jinja": "F"}, want: "F"},
		{name: "more files", choose: "rag", files: map[string]string{"chat_template.jinja": "F", "chat_templates/rag.jinja": "R"}, want: "R"},
		{name: "unknown", choose: "x", err: "default, tool_use"},
		{name: "wrong kind", files: map[string]string{"tokenizer_config.json": `{"chat_template":3}`}, err: "tokenizer_config.json: chat_template"},
		{name: "wrong token", files: map[string]string{"tokenizer_config.json": `{"eos_token":3}`}, err: "eos_token"},
	} {
		dir := t.TempDir()
		files := map[string]string{"tokenizer_config.json": config, "special_tokens_map.json": tokens}
		for k, v := range c.files {
			files[k] = v
		}
		for k, v := range files {
			path := filepath.Join(dir, k)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(v), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		set, err := chat.Load(dir)
		var got string
		var tpl *chat.Template
		if err == nil {
			if tpl, err = set.Choose(c.choose, c.tools); err == nil {
				got, err = tpl.Render(chat.Request{Messages: talk()})
			}
		}
		if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %q, %v, want %q %q", c.name, got, err, c.want, c.err)
		}
	}
}

func TestTokens(t *testing.T) {
	spans := []chat.Span{{2, 5, 1}, {8, 9, 3}}
	got, err := chat.Tokens(spans, [][2]int{{0, 0}, {0, 2}, {2, 4}, {4, 5}, {5, 8}, {8, 9}, {9, 9}})
	if want := []bool{false, false, true, true, false, true, false}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, bad := range [][][2]int{{{1, 3}}, {{4, 6}}, {{7, 10}}, {{0, 9}}, {{3, 2}}, {{4, 5}, {2, 3}}} {
		if _, err := chat.Tokens(spans, bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestRequest(t *testing.T) {
	tpl, err := chat.Parse(`{{ messages[0] }}{{ tools is none }}{{ enable_thinking }}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := chat.ParseMessages([]byte(`[{"role":"user","z":1,"a":12345678901234567890,"f":1.0}]`))
	if err != nil {
		t.Fatal(err)
	}
	extra := jinja.NewDict()
	extra.Set("enable_thinking", false)
	got, err := tpl.Render(chat.Request{Messages: messages, Extra: extra})
	if want := "{'role': 'user', 'z': 1, 'a': 12345678901234567890, 'f': 1.0}TrueFalse"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	extra.Set("messages", nil)
	if _, err := tpl.Render(chat.Request{Messages: messages, Extra: extra}); err == nil {
		t.Error("a variable may not hide the messages")
	}
}
