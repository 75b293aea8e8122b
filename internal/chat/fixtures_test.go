package chat_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/chat"
)

// TestLearnedOfRealTemplates checks prefix rendering on models' own templates.
func TestLearnedOfRealTemplates(t *testing.T) {
	for file, want := range map[string][]string{
		"Qwen-Qwen2.5-7B-Instruct.jinja":             {"a1<|im_end|>", "a2<|im_end|>"},
		"google-gemma-2-2b-it.jinja":                 {"a1<end_of_turn>", "a2<end_of_turn>"},
		"meta-llama-Llama-3.2-3B-Instruct.jinja":     {"a1<|eot_id|>", "a2<|eot_id|>"},
		"microsoft-Phi-3.5-mini-instruct.jinja":      {"a1<|end|>", "a2<|end|>"},
		"mistralai-Mistral-Nemo-Instruct-2407.jinja": {"a1</s>", "a2</s>"},
	} {
		path := filepath.Join("../../../shared/fixtures/chat-templates", file)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("no ", path)
		}
		tpl, err := chat.Parse(string(text), map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := tpl.Learned(chat.Request{Messages: talk(), Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}, chat.LearnOptions{})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var got []string
		for _, s := range c.Spans {
			got = append(got, c.Text[s.Start:s.End])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s learns %q, want %q", file, got, want)
		}
	}
}
