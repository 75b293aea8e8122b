package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// TestModelTokenizeNotUTF8: bytes that are no text are said, and no others.
func TestModelTokenizeNotUTF8(t *testing.T) {
	dir := t.TempDir()
	tok, err := tokenizer.Train(slices.Values([]string{strings.Repeat("yes it is ", 20)}), tokenizer.TrainOptions{VocabSize: 280})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	for text, note := range map[string]string{"": "", "a\r\n\x00": "", "\ufffdé": "", "é\xffb": "byte 2 is not UTF-8", "\xc3": "byte 0 is"} {
		file := writeFile(t, filepath.Join(dir, "text"), text)
		code, _, errs := retort(t, "model", "tokenize", dir, "--file", file)
		if code != exitDone || (errs == "") != (note == "") || !strings.Contains(errs, note) {
			t.Errorf("%q: exit code %d, %q", text, code, errs)
		}
	}
}
