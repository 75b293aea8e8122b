package recipes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/redact"
)

// vaultDir holds what placeholders stand for, and the audit, in the pipeline's
// store: no artifact has any of it.
const vaultDir = "private"

// redactOptions say which personal data are taken out of texts.
type redactOptions struct {
	// Off leaves texts as they are, which is the default of servers on this
	// machine and of datasets; of other servers it is to redact all built-in kinds.
	Off            bool `yaml:"off"`
	redact.Options `yaml:",inline"`
	// WordFiles maps a kind of its own to a file of words or phrases, one a line.
	WordFiles map[string]string `yaml:"word_files"`
}

func (o *redactOptions) validate() error {
	if o.Off && (len(o.Kinds) > 0 || len(o.Patterns) > 0 || len(o.Words) > 0 || len(o.WordFiles) > 0) {
		return errors.New("off: it excludes what is to be redacted")
	}
	for kind := range o.WordFiles {
		if _, twice := o.Words[kind]; twice {
			return fmt.Errorf("word_files: %s is in words, too", kind)
		}
	}
	return o.Options.Validate()
}

// files are the outside files of the options, by the names of their kinds.
func (o *redactOptions) files() []string {
	if o == nil {
		return nil
	}
	var files []string
	for _, kind := range slices.Sorted(maps.Keys(o.WordFiles)) {
		files = append(files, o.WordFiles[kind])
	}
	return files
}

// redactor makes the redactor; nil options or those that are off make none.
func (o *redactOptions) redactor() (*redact.Redactor, error) {
	if o == nil || o.Off {
		return nil, nil
	}
	all := o.Options
	all.Words = maps.Clone(o.Words)
	for kind, path := range o.WordFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("redact: word_files: %s: %w", kind, err)
		}
		if all.Words == nil {
			all.Words = map[string][]string{}
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				all.Words[kind] = append(all.Words[kind], line)
			}
		}
	}
	return redact.New(all)
}

// redacting is what a server is sent: all built-in kinds are taken out unless
// the recipe says otherwise, or the server is on this machine.
func (m *Source) redacting() *redactOptions {
	if m.Redact == nil && !m.isHere() {
		return &redactOptions{}
	}
	return m.Redact
}

// teacherIdentity is that of the teacher that openTeacher makes of the server.
func (m *Source) teacherIdentity() string {
	if redactor, err := m.redacting().redactor(); err == nil && redactor != nil {
		return m.identity() + " redacted " + redactor.ID()
	}
	return m.identity()
}

// redactedTeacher asks without personal data, and puts them back into answers.
type redactedTeacher struct {
	distill.Teacher
	redactor *redact.Redactor
	vault    *redact.Vault

	mu     sync.Mutex
	scopes map[int]*redact.Scope // of requests under way
	counts map[string]int        // placeholders by kind
}

// Identity implements distill.Teacher: redacted requests have other answers.
func (t *redactedTeacher) Identity() string {
	return t.Teacher.Identity() + " redacted " + t.redactor.ID()
}

// Answer implements distill.Teacher.
func (t *redactedTeacher) Answer(ctx context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	var failed error
	err := t.Teacher.Answer(ctx, func(yield func(int, distill.Request) bool) {
		for i, r := range requests {
			if r, failed = t.hide(i, r); failed != nil || !yield(i, r) {
				return
			}
		}
	}, func(i int, a distill.Answer) error { return done(i, t.reveal(i, a)) })
	return errors.Join(failed, err)
}

// hide takes personal data out of a request. What stands for them is on the disk
// before it is sent.
func (t *redactedTeacher) hide(i int, r distill.Request) (distill.Request, error) {
	key, s := r.Key(t.Identity()).String(), t.redactor.Scope()
	r.Prompt = s.Redact(r.Prompt)
	if r.Given != nil {
		r.Given = new(s.Redact(*r.Given))
	}
	for _, part := range []*string{&r.Messages, &r.Tools, &r.Schema} {
		if *part == "" {
			continue
		}
		text, err := s.RedactJSON(*part)
		if err != nil {
			return r, fmt.Errorf("redact request %s: %w", key, err)
		}
		*part = text
	}
	if counts := s.Counts(); len(counts) > 0 {
		if err := t.vault.Keep(key, s); err != nil {
			return r, fmt.Errorf("redact request %s: %w", key, err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.scopes[i] = s
		for kind, n := range counts {
			t.counts[kind] += n
		}
	}
	return r, nil
}

// reveal puts personal data back into an answer.
func (t *redactedTeacher) reveal(i int, a distill.Answer) distill.Answer {
	t.mu.Lock()
	s := t.scopes[i]
	delete(t.scopes, i)
	t.mu.Unlock()
	if s == nil {
		return a
	}
	text := restored(s, a.Text)
	if text != a.Text {
		a.Pieces = nil // they are of the text with placeholders
	}
	a.Text, a.Reasoning, a.ToolCalls = text, s.Restore(a.Reasoning), restoredCalls(s, a.ToolCalls)
	return a
}

// restored is a text with personal data put back: within its strings, if it is
// JSON, so that it stays JSON.
func restored(s *redact.Scope, text string) string {
	if t := strings.TrimSpace(text); strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") {
		if out, err := s.RestoreJSON(text); err == nil {
			return out
		}
	}
	return s.Restore(text)
}

// restoredCalls are tool calls with personal data put back. Their arguments are
// JSON in a string, as OpenAI has it.
func restoredCalls(s *redact.Scope, calls string) string {
	var list []map[string]json.RawMessage
	if json.Unmarshal([]byte(calls), &list) != nil {
		return s.Restore(calls)
	}
	for _, call := range list {
		var function map[string]json.RawMessage
		var arguments string
		if json.Unmarshal(call["function"], &function) != nil || json.Unmarshal(function["arguments"], &arguments) != nil {
			continue
		}
		function["arguments"] = mustJSON(restored(s, arguments))
		call["function"] = mustJSON(function)
	}
	return string(mustJSON(list))
}

// mustJSON is v, of strings and JSON, as JSON.
func mustJSON(v any) json.RawMessage {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

// redacted is t, asked without personal data if the model is to be.
func (r *Recipe) redacted(t *askedTeacher, m *Source) error {
	redactor, err := m.redacting().redactor()
	if err != nil || redactor == nil {
		return err
	}
	vault, err := redact.OpenVault(filepath.Join(r.store, vaultDir))
	if err != nil {
		return err
	}
	hidden := &redactedTeacher{Teacher: t.Teacher, redactor: redactor, vault: vault, scopes: map[int]*redact.Scope{}, counts: map[string]int{}}
	figures, closeTeacher := t.figures, t.close
	t.Teacher = hidden
	t.figures = func() map[string]any {
		all := map[string]any{"redacted": maps.Clone(hidden.counts)}
		maps.Copy(all, figures())
		return all
	}
	t.close = func() error { return errors.Join(closeTeacher(), vault.Close()) }
	return nil
}

// redactExample takes personal data out of an example for good: its artifact has
// placeholders, and the vault what they stand for.
func redactExample(redactor *redact.Redactor, vault *redact.Vault, e *datasets.Example) error {
	s, h := redactor.Scope(), sha256.New()
	for _, text := range []string{e.Prompt, e.Response, e.Rejected, e.Reference, strings.Join(e.Choices, "\x00"), e.Messages, e.Turn, e.Tools} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	for _, text := range []*string{&e.Prompt, &e.Response, &e.Rejected, &e.Reference} {
		*text = s.Redact(*text)
	}
	for i := range e.Choices {
		e.Choices[i] = s.Redact(e.Choices[i])
	}
	for _, part := range []*string{&e.Messages, &e.Turn, &e.Tools} {
		if *part == "" {
			continue
		}
		text, err := s.RedactJSON(*part)
		if err != nil {
			return err
		}
		*part = text
	}
	if len(s.Counts()) == 0 {
		return nil
	}
	// The content is in the name: a row that changes is another.
	return vault.Keep(fmt.Sprintf("%s row %d %x %s", e.File, e.Row, h.Sum(nil)[:16], redactor.ID()), s)
}
