package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/model"
)

// The end tokens of generation_config.json come before config.json's.
func TestGenerationConfig(t *testing.T) {
	for _, c := range []struct {
		name, text string
		eos        []int32
		fault      string
	}{
		{"none", "", []int32{2}, ""},
		{"without ends", `{"bos_token_id": 1}`, []int32{2}, ""},
		{"one", `{"eos_token_id": 7, "temperature": 0.6}`, []int32{7}, ""},
		{"several", `{"eos_token_id": [7, 2]}`, []int32{7, 2}, ""},
		{"outside", `{"eos_token_id": 307}`, nil, "307"},
		{"negative", `{"eos_token_id": [2, -4]}`, nil, "-4"},
		{"text", `{"eos_token_id": "</s>"}`, nil, "eos_token_id"},
		{"no JSON", `{`, nil, "generation_config.json"},
	} {
		dir := t.TempDir()
		write := func(name string, data []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		write("config.json", configJSON(fields{"eos_token_id": 2}))
		if c.text != "" {
			write("generation_config.json", []byte(c.text))
		}
		got, err := model.LoadConfig(dir)
		switch {
		case c.fault != "":
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: error %v, want one with %q", c.name, err, c.fault)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case !slices.Equal(got.EOS, c.eos):
			t.Errorf("%s: end tokens %v, want %v", c.name, got.EOS, c.eos)
		}
	}
}
