package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestModelTemplateFixtures: what Python's Jinja makes of real templates.
func TestModelTemplateFixtures(t *testing.T) {
	root := "../../../shared/fixtures/chat-templates"
	data, err := os.ReadFile(filepath.Join(root, "rendered.json"))
	if err != nil {
		t.Skip(err)
	}
	var cases []struct {
		Template        string
		Messages, Tools json.RawMessage
		Prompt          bool   `json:"add_generation_prompt"`
		BOS             string `json:"bos_token"`
		EOS             string `json:"eos_token"`
		Text, Error     *string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, c := range cases {
		args := []string{"model", "template", filepath.Join(root, c.Template), "--now", "2026-01-15 12:00", "--bos", c.BOS, "--eos", c.EOS,
			"--messages", writeFile(t, filepath.Join(dir, "messages.json"), string(c.Messages))}
		if string(c.Tools) != "null" {
			args = append(args, "--tools", writeFile(t, filepath.Join(dir, "tools.json"), string(c.Tools)))
		}
		if c.Prompt {
			args = append(args, "--add-generation-prompt")
		}
		code, out, errs := retort(t, args...)
		if c.Error != nil {
			if code != exitFailed || out != "" || errs == "" {
				t.Errorf("case %d of %s: exit code %d, %q; want an error as %s", i, c.Template, code, out, *c.Error)
			}
			continue
		}
		if code != exitDone || out != *c.Text {
			t.Errorf("case %d of %s: exit code %d, %q, want %q: %s", i, c.Template, code, out, *c.Text, errs)
		}
	}
}

func TestModelTemplateTokens(t *testing.T) {
	dir := t.TempDir()
	tok, err := tokenizer.Train(slices.Values([]string{strings.Repeat("yes it is no it is not ", 20)}), tokenizer.TrainOptions{VocabSize: 280})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "chat_template.jinja"),
		"{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}")
	messages := writeFile(t, filepath.Join(dir, "messages.json"), `[{"role":"user","content":"is it"},{"role":"assistant","content":"yes"}]`)
	code, out, errs := retort(t, "model", "template", dir, "--messages", messages)
	if want := "<|bos|>user:is it<|endoftext|>assistant:yes<|endoftext|>"; code != exitDone || out != want {
		t.Errorf("%d %q, want %q: %s", code, out, want, errs)
	}
	code, out, errs = retort(t, "model", "template", dir, "--messages", messages, "--tokens")
	learned := ""
	for line := range strings.Lines(out) {
		if parts := strings.Split(strings.TrimSpace(line), "\t"); len(parts) == 3 && parts[1] == "learned" {
			learned += strings.Trim(parts[2], `"`)
		}
	}
	if code != exitDone || learned != "yes<|endoftext|>" {
		t.Errorf("%d learned %q: %s\n%s", code, learned, errs, out)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "want --messages"},
		{[]string{"--messages", messages, "--now", "noon"}, exitUsage, `--now "noon"`},
		{[]string{"--messages", dir + "/none"}, exitFailed, "none"},
		{[]string{"--messages", messages, "--tools", messages + "x"}, exitFailed, "messages.jsonx"},
	} {
		if code, _, errs := retort(t, append([]string{"model", "template", dir}, c.args...)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
}
