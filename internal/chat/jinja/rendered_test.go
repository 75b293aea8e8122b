package jinja_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/chat/jinja"
)

// TestRendered compares with what Python's Jinja makes of real models' templates.
func TestRendered(t *testing.T) {
	dir := "../../../../shared/fixtures/chat-templates"
	data, err := os.ReadFile(filepath.Join(dir, "rendered.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no ", filepath.Join(dir, "rendered.json"))
	}
	cases, err := jinja.DecodeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases.(*jinja.List).Items {
		c := c.(*jinja.Dict)
		get := func(k string) jinja.Value { v, _ := c.Get(k); return v }
		file, _ := get("template").(string)
		src, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		tpl, err := jinja.Parse(string(src))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vars := jinja.NewDict()
		for _, k := range []string{"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"} {
			vars.Set(k, get(k))
		}
		got, err := tpl.Render(vars, jinja.Options{Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)})
		want, isText := get("text").(string)
		reason, _ := get("error").(string)
		switch {
		case isText && err != nil:
			t.Errorf("%s %v: %v", file, get("conversation"), err)
		case isText && got.Text != want:
			t.Errorf("%s %v:\n got %q\nwant %q", file, get("conversation"), got.Text, want)
		case !isText && (err == nil || !strings.Contains(err.Error(), reason)):
			t.Errorf("%s %v: error %v, want %q", file, get("conversation"), err, reason)
		}
	}
}
