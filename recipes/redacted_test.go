package recipes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/redact"
)

// private are rows with personal data, and those data.
func private(n int) (rows, secrets []string) {
	for i := range n {
		mail, phone := fmt.Sprintf("ann.lee%d@example.org", i), fmt.Sprintf("+44 20 7946 0%03d", i)
		secrets = append(secrets, mail, phone)
		rows = append(rows, fmt.Sprintf(`{"text": "Please write to %s or call %s about ProjectX.", "label": "yes"}`, mail, phone))
	}
	return rows, append(secrets, "ProjectX")
}

// requests are the bodies that a server got.
type requests struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *requests) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(text + "\n")
}

func noneIn(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s: %q is in %.300q", what, secret, text)
		}
	}
}

func TestNothingPersonalReachesAServer(t *testing.T) {
	rows, secrets := private(20)
	var got requests
	s := newChatServer(t, func(prompt string, _ uint64) string {
		got.add(prompt)
		return "I wrote: " + strings.ToLower(prompt)
	})
	l := newLab(t, rows...)
	words := filepath.Join(t.TempDir(), "words.txt")
	if err := os.WriteFile(words, []byte("ProjectX\n\nOther thing\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	recipe := s.models(fmt.Sprintf(", redact: {kinds: [email, phone], word_files: {project: %q}}", words)) +
		"\n  answers: {kind: answers, teacher: big, from: data.train}"
	answers := l.answers(l.mustRun(recipe))
	noneIn(t, "the server got", got.text.String(), secrets)
	if n := strings.Count(got.text.String(), "[EMAIL_1]"); n != 20 {
		t.Errorf("%d requests have [EMAIL_1]", n)
	}
	// What comes home has the data again: the student learns from texts as they are.
	if len(answers) != 20 || !strings.Contains(answers[3].Answer, "ann.lee3@example.org") || !strings.Contains(answers[3].Answer, "ProjectX") ||
		!strings.Contains(answers[3].Prompt, "+44 20 7946 0003") {
		t.Errorf("%+v", answers[min(3, len(answers)-1)])
	}
	audit, err := os.ReadFile(filepath.Join(l.store.Dir(), vaultDir, "audit.jsonl"))
	if err != nil || strings.Count(string(audit), "\n") < 60 {
		t.Errorf("audit of %d bytes, %v", len(audit), err)
	}
	noneIn(t, "the audit", string(audit), secrets)
	if info, err := os.Stat(filepath.Join(l.store.Dir(), vaultDir, "vault.jsonl")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("vault: %v, %v", info, err)
	}
	// The same again asks nobody.
	l.mustRun(recipe[:len(recipe)-1] + ", accept: {min_chars: 2}}")
	if all, _ := s.calls(); all != 20 {
		t.Errorf("%d calls", all)
	}
}

func TestServersElsewhereGetNothingPersonalByDefault(t *testing.T) {
	far := Source{}
	far.API, far.Model = "openai", "gpt-4o"
	near := far
	near.BaseURL = "http://127.0.0.1:1/v1"
	off := far
	off.Redact = &redactOptions{Off: true}
	for name, c := range map[string]struct {
		m    Source
		want bool
	}{"elsewhere": {far, true}, "here": {near, false}, "off": {off, false}} {
		redactor, err := c.m.redacting().redactor()
		if err != nil || (redactor != nil) != c.want {
			t.Errorf("%s: redactor %v, %v", name, redactor, err)
		}
	}
}

func TestDatasetsWithoutPersonalData(t *testing.T) {
	rows, secrets := private(30)
	l := newLab(t, rows...)
	record := l.mustRun(`stages:
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, redact: {words: {project: [projectx]}}}`)
	d, err := datasets.Open(l.artifact(record, "data"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := d.Read("train")
	if err != nil || len(examples) != 30 || !strings.Contains(examples[0].Prompt, "[EMAIL_1]") {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, e := range examples {
		noneIn(t, "an example", e.Prompt, secrets)
	}
	_, err = l.run(`stages:
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, redact: {kinds: [emial], patterns: {x: "("}}}`)
	if !IsFault(err) || !strings.Contains(err.Error(), "redact.kinds") || !strings.Contains(err.Error(), "redact.patterns") {
		t.Errorf("error %v", err)
	}
}

func TestRestoredAnswersStayJSON(t *testing.T) {
	redactor, err := redact.New(redact.Options{Patterns: map[string]string{"code": `code <[^>]*>`}})
	if err != nil {
		t.Fatal(err)
	}
	s := redactor.Scope()
	secret := "code <a\"b\\c\nd>"
	if s.Redact(secret) != "[CODE_1]" {
		t.Fatal("nothing is redacted")
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(restored(s, `{"x": "it is [CODE_1]"}`)), &got); err != nil || got["x"] != "it is "+secret {
		t.Errorf("%v, %v", got, err)
	}
	if text := restored(s, "[CODE_1] it is"); text != secret+" it is" {
		t.Errorf("%q", text)
	}
	calls := restoredCalls(s, `[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"x\": \"[CODE_1]\"}"}}]`)
	var list []struct{ Function struct{ Arguments string } }
	if err := json.Unmarshal([]byte(calls), &list); err != nil {
		t.Fatalf("%s: %v", calls, err)
	}
	got = nil
	if err := json.Unmarshal([]byte(list[0].Function.Arguments), &got); err != nil || got["x"] != secret {
		t.Errorf("%s: %v, %v", calls, got, err)
	}
}

func TestARowThatChangesIsRedactedAgain(t *testing.T) {
	rows, _ := private(1)
	l := newLab(t, rows...)
	recipe := "stages:\n  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, redact: {}}"
	l.mustRun(recipe)
	if err := os.WriteFile(l.rows, []byte(strings.ReplaceAll(rows[0], "ann.lee0", "bob")), 0o666); err != nil {
		t.Fatal(err)
	}
	l.mustRun(recipe)
}
