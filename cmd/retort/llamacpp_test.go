package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A server that nobody here wrote: llama.cpp's, with a model that this program
// converted. It must be in the PATH, or RETORT_LLAMA_SERVER name it.
func TestALlamaCppServerTeaches(t *testing.T) {
	server := os.Getenv("RETORT_LLAMA_SERVER")
	if server == "" {
		var err error
		if server, err = exec.LookPath("llama-server"); err != nil {
			t.Skip("llama-server is not in the PATH, and RETORT_LLAMA_SERVER does not name it")
		}
	}
	const model = "../../../shared/models/stories260K"
	if _, err := os.Stat(model); err != nil {
		t.Skipf("%s is not there", model)
	}
	dir := t.TempDir()
	retort := func(args ...string) string {
		t.Helper()
		var out, log bytes.Buffer
		if code := execute(t.Context(), append([]string{"retort"}, args...), streams{&out, &log}); code != exitDone {
			t.Fatalf("retort %s: exit code %d\n%s%s", strings.Join(args, " "), code, &out, &log)
		}
		return out.String() + log.String()
	}
	gguf := filepath.Join(dir, "stories.gguf")
	retort("model", "convert", model, gguf, "--to", "gguf")
	address := startLlamaServer(t, server, gguf)
	var rows strings.Builder
	for i := range 40 {
		fmt.Fprintf(&rows, "{\"text\": \"Tell me about day %d.\", \"label\": \"x\"}\n", i)
	}
	recipe := fmt.Sprintf(`version: 1
name: llamacpp
offline: true
models:
  big: {api: openai, base_url: "http://%s/v1", model: stories, concurrency: 4}
  same: {path: %q}
stages:
  data: {kind: dataset, files: %q, columns: {prompt: text}, prompt_only: true}
  answers: {kind: answers, teacher: big, from: data.train, max_tokens: 16, temperature: 0.8, samples: 2, top_k: 4, choose: {method: all}}
  tok: {kind: tokenizer, on: data.train, vocab_size: 300}
  tuned: {kind: train, new: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}, tokenizer: tok, on: answers, steps: 2}
  followed: {kind: train, student: same, on: answers, distill: {divergence: jsd}, lora: {r: 2}, batch: {rows: 2, length: 64}, steps: 2}
`, address, model, filepath.Join(dir, "rows.jsonl"))
	for name, text := range map[string]string{"rows.jsonl": rows.String(), "recipe.yaml": recipe} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	store := filepath.Join(dir, "store")
	if out := retort("run", filepath.Join(dir, "recipe.yaml"), "--store", store); !strings.Contains(out, "80 answers: 80 asked for") ||
		!regexp.MustCompile(`tokens \((9\d|100)\.\d %\)`).MatchString(out) { // the server may sample a text in other tokens than it would read it
		t.Errorf("the first run:\n%s", out)
	}
	// Another limit is another stage; its answers are all there.
	out := retort("run", filepath.Join(dir, "recipe.yaml"), "--store", store, "--set", "data.limit=30")
	if !strings.Contains(out, "60 answers: 0 asked for, 60 were in the store") {
		t.Errorf("the second run:\n%s", out)
	}
	if out := retort("data", "answers", store, "--limit", "1", "--json"); !strings.Contains(out, `stories.gguf"`) {
		t.Errorf("answers: %s", out)
	}
}

// startLlamaServer runs the server until the test ends, and returns its address.
func startLlamaServer(t *testing.T, server, gguf string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(t.Context(), server, "-m", gguf, "--host", host, "--port", port, "-np", "4", "-c", "2048")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 300 {
		if r, err := http.Get("http://" + address + "/health"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return address
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("llama-server does not answer:\n%s", &log)
	return ""
}
