package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// A dataset in the cache is found without a network, and its path is what is printed.
func TestDataPullOffline(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	const commit = "0123456789abcdef0123456789abcdef01234567"
	snapshot := filepath.Join(home, "hub", "datasets--org--rows", "snapshots", commit)
	if err := os.MkdirAll(snapshot, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(snapshot, "train.jsonl"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		var out, diagnostics bytes.Buffer
		app := &cli.App{Commands: []*cli.Command{dataPullCommand(streams{out: &out, err: &diagnostics})}, ExitErrHandler: func(*cli.Context, error) {}}
		err := app.Run(append([]string{"retort", "pull"}, args...))
		return out.String(), err
	}
	if out, err := run("--offline", "org/rows@"+commit); err != nil || out != snapshot+"\n" {
		t.Errorf("got %q, %v", out, err)
	}
	for name, want := range map[string]string{"org/none": "not in the cache", "../up": "is no dataset of a hub"} {
		if _, err := run("--offline", name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
