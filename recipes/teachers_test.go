package recipes

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/pipeline"
)

// chatServer is a server with OpenAI's chat completions that answers as say does.
type chatServer struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // by prompt and seed
	say   func(prompt string, seed uint64) string
}

func newChatServer(t *testing.T, say func(prompt string, seed uint64) string) *chatServer {
	t.Helper()
	s := &chatServer{asked: map[string]int{}, say: say}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *chatServer) serve(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Messages []struct{ Role, Content string } `json:"messages"`
		Seed     uint64                           `json:"seed"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) == 0 {
		http.Error(w, "bad body", http.StatusBadRequest)
		return
	}
	prompt := body.Messages[len(body.Messages)-1].Content
	s.mu.Lock()
	s.asked[fmt.Sprint(prompt, body.Seed)]++
	s.mu.Unlock()
	text := s.say(prompt, body.Seed)
	if text == "" {
		http.Error(w, `{"error": {"message": "this prompt is not for me", "type": "invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"id": "x", "model": "mock-1", "object": "chat.completion",
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": text}}},
		"usage":   map[string]any{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
}

// calls is how often the server was asked, and repeated how often for what it had answered.
func (s *chatServer) calls() (all, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.asked {
		all, repeated = all+n, repeated+n-1
	}
	return all, repeated
}

// lab is a directory with rows and a store, in which recipes run.
type lab struct {
	t     *testing.T
	store *pipeline.Store
	rows  string
}

func newLab(t *testing.T, rows ...string) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{t: t, rows: filepath.Join(dir, "rows.jsonl")}
	if err := os.WriteFile(l.rows, []byte(strings.Join(rows, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.store, err = pipeline.Open(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	return l
}

// labelled are n rows with a text and a label.
func labelled(n int) []string {
	var rows []string
	for i := range n {
		rows = append(rows, fmt.Sprintf(`{"text": "question %d", "label": "%s"}`, i, []string{"yes", "no"}[i%2]))
	}
	return rows
}

// run runs a recipe, in which ROWS stands for the file of rows.
func (l *lab) run(text string) (*pipeline.Record, error) {
	l.t.Helper()
	r, err := Parse("test.yaml", []byte("version: 1\nname: test\nseed: 5\n"+strings.ReplaceAll(text, "ROWS", l.rows)))
	if err != nil {
		return nil, err
	}
	return pipeline.Run(l.t.Context(), l.store, r.Pipeline(l.store.Dir()), pipeline.Options{Program: "test", Recipe: "test"})
}

func (l *lab) mustRun(text string) *pipeline.Record {
	l.t.Helper()
	record, err := l.run(text)
	if err != nil {
		l.t.Fatal(err)
	}
	return record
}

// artifact is the directory of what a stage of the run made.
func (l *lab) artifact(r *pipeline.Record, stage string) string {
	l.t.Helper()
	i := slices.IndexFunc(r.Stages, func(s pipeline.StageRecord) bool { return s.Name == stage })
	a, err := l.store.Artifact(r.Stages[i].ID)
	if err != nil {
		l.t.Fatal(err)
	}
	return a.Dir
}

func (l *lab) answers(r *pipeline.Record) []distill.Row {
	l.t.Helper()
	a, err := distill.OpenAnswers(l.artifact(r, "answers"))
	if err != nil {
		l.t.Fatal(err)
	}
	var rows []distill.Row
	for row, err := range a.Rows() {
		if err != nil {
			l.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

const dataStage = `
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}}`

// served is a recipe's models with the server.
func (s *chatServer) models(more string) string {
	return fmt.Sprintf("models:\n  big: {api: openai, base_url: %q, model: m, retries: 1%s}\nstages:%s", s.URL+"/v1", more, dataStage)
}

func TestAServerIsAskedOnce(t *testing.T) {
	s := newChatServer(t, func(prompt string, _ uint64) string { return "answer to " + prompt })
	l := newLab(t, labelled(40)...)
	recipe := s.models("") + "\n  answers: {kind: answers, teacher: big, from: data.train}"
	rows := l.answers(l.mustRun(recipe))
	if len(rows) != 40 || rows[7].Answer != "answer to question 7" || rows[7].Model != "mock-1" || rows[7].Weight != 1 {
		t.Fatalf("%d rows, %+v", len(rows), rows[min(7, len(rows)-1)])
	}
	// Other choices among the same answers ask nobody.
	l.mustRun(recipe[:len(recipe)-1] + ", accept: {min_chars: 3}}")
	if all, repeated := s.calls(); all != 40 || repeated != 0 {
		t.Errorf("%d calls, %d of them again", all, repeated)
	}
}

func TestABudgetStopsAndGoesOn(t *testing.T) {
	s := newChatServer(t, func(prompt string, _ uint64) string { return "answer to " + prompt })
	l := newLab(t, labelled(60)...)
	// 10 tokens in and 5 out cost $0.02.
	recipe := func(budget float64) string {
		return s.models(", price: {input: 1000, output: 2000}") + fmt.Sprintf("\n  answers: {kind: answers, teacher: big, from: data.train, max_tokens: 6, budget: %v}", budget)
	}
	_, err := l.run(recipe(0.6))
	if err == nil || !strings.Contains(err.Error(), "budget is used up") {
		t.Fatalf("error %v", err)
	}
	first, _ := s.calls()
	if spent := 0.02 * float64(first); spent > 0.6 || spent < 0.3 {
		t.Errorf("%d calls cost %v of 0.6", first, spent)
	}
	rows := l.answers(l.mustRun(recipe(10)))
	if all, repeated := s.calls(); len(rows) != 60 || all != 60 || repeated != 0 {
		t.Errorf("%d rows, %d calls, %d of them again", len(rows), all, repeated)
	}
	store, err := distill.OpenStore(t.Context(), filepath.Join(l.store.Dir(), answersFile))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	accounts, err := store.Spending(t.Context())
	if err != nil || len(accounts) != 1 || accounts[0].Name != "test/answers" || math.Abs(accounts[0].Spent.Dollars()-1.2) > 1e-9 {
		t.Errorf("accounts %+v, %v", accounts, err)
	}
}

func TestFailuresAreToldOrDropped(t *testing.T) {
	s := newChatServer(t, func(prompt string, _ uint64) string {
		if strings.HasSuffix(prompt, "3") {
			return ""
		}
		return "fine"
	})
	l := newLab(t, labelled(10)...)
	_, err := l.run(s.models("") + "\n  answers: {kind: answers, teacher: big, from: data.train}")
	if err == nil || !strings.Contains(err.Error(), "this prompt is not for me") || !strings.Contains(err.Error(), "on_failure: drop") {
		t.Errorf("error %v", err)
	}
	rows := l.answers(l.mustRun(s.models("") + "\n  answers: {kind: answers, teacher: big, from: data.train, on_failure: drop}"))
	if len(rows) != 9 {
		t.Errorf("%d rows", len(rows))
	}
}

func TestChoicesAmongSamples(t *testing.T) {
	// Of three samples two say the right label, in other words.
	s := newChatServer(t, func(prompt string, seed uint64) string {
		return []string{"Yes.", " yes", "NO"}[seed%3]
	})
	l := newLab(t, labelled(12)...)
	recipe := func(more string) string {
		return s.models("") + "\n  answers: {kind: answers, teacher: big, from: data.train, temperature: 1, samples: 9, " + more + "}"
	}
	rows := l.answers(l.mustRun(recipe("accept: {labels: [yes, no]}, choose: {method: distribution, vote: label}")))
	sums := map[string]float64{}
	for _, r := range rows {
		sums[r.ID] += float64(r.Weight)
		if r.Answer != "yes" && r.Answer != "no" {
			t.Errorf("answer %q", r.Answer)
		}
	}
	if len(sums) != 12 {
		t.Errorf("%d prompts", len(sums))
	}
	for id, sum := range sums {
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("%s: weights sum to %v", id, sum)
		}
	}
	rows = l.answers(l.mustRun(recipe("accept: {labels: [yes, no]}, choose: {method: majority, vote: label}")))
	if len(rows) != 12 {
		t.Errorf("majority: %d rows", len(rows))
	}
	if _, err := l.run(recipe("accept: {labels: [yes, no], regex: zebra}, choose: {method: all}")); err == nil || !strings.Contains(err.Error(), "no answer can be learned: regex 108") {
		t.Errorf("answers that nobody accepts: %v", err)
	}
}

func TestAJudgeChooses(t *testing.T) {
	s := newChatServer(t, func(prompt string, seed uint64) string {
		if strings.Contains(prompt, "Two answers") {
			a := prompt[strings.Index(prompt, "<<<ANSWER A"):strings.Index(prompt, "<<<ANSWER B")]
			if strings.Contains(a, "good") {
				return `{"reason": "x", "winner": "A"}`
			}
			return `{"reason": "x", "winner": "B"}`
		}
		return []string{"bad", "worse", "good"}[seed%3]
	})
	l := newLab(t, labelled(8)...)
	rows := l.answers(l.mustRun(s.models("") + "\n  answers: {kind: answers, teacher: big, from: data.train, temperature: 1, samples: 12, choose: {method: judge}, judge: {teacher: big}}"))
	if len(rows) != 8 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		if r.Answer != "good" {
			t.Errorf("the judge took %q", r.Answer)
		}
	}
}

func TestRationalesAreTargets(t *testing.T) {
	s := newChatServer(t, func(prompt string, _ uint64) string { return "Reasoning: because\nAnswer: yes" })
	l := newLab(t, labelled(4)...)
	rows := l.answers(l.mustRun(s.models("") + "\n  answers: {kind: answers, teacher: big, from: data.train, rationale: {weight: 0.5}}"))
	if len(rows) != 8 {
		t.Fatalf("%d rows", len(rows))
	}
	a, b := rows[0], rows[1]
	if a.Target != distill.TargetLabel || a.Prompt != "[label] question 0" || a.Answer != "yes" || a.Weight != 1 ||
		b.Target != distill.TargetRationale || b.Prompt != "[rationale] question 0" || b.Answer != "because" || b.Weight != 0.5 {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestNewPromptsFromSeeds(t *testing.T) {
	s := newChatServer(t, func(prompt string, seed uint64) string {
		return fmt.Sprintf(`{"prompts": ["Where can I find the %d horses of %d?", "question 1", "Who painted number %d in blue for %d people?"]}`, seed%1000, seed%77, seed%313, seed%29)
	})
	l := newLab(t, labelled(10)...)
	recipe := s.models("") + "\n  more: {kind: synthesize, teacher: big, from: data.train, temperature: 1, target: 6, per_request: 3, max_similarity: 0.95}" +
		"\n  answers: {kind: answers, teacher: big, from: more.train}"
	record := l.mustRun(recipe)
	rows := l.answers(record)
	if len(rows) < 4 {
		t.Fatalf("%d new prompts", len(rows))
	}
	for _, r := range rows {
		if strings.HasPrefix(r.Prompt, "question") {
			t.Errorf("a seed came back as %q", r.Prompt)
		}
	}
	trace, err := os.ReadFile(filepath.Join(l.artifact(record, "more"), provenanceFile))
	if err != nil || !strings.Contains(string(trace), `"request_hash"`) || strings.Count(string(trace), "\n") != len(rows) {
		t.Errorf("provenance %s, %v", trace, err)
	}
}

// pair are stages with a trained teacher and a smaller student.
const pair = dataStage + `
  tok: {kind: tokenizer, on: data.train, vocab_size: 300, response_tokens: true}
  teacher: {kind: train, new: {hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 2, initializer_range: 0.1}, tokenizer: tok,
    on: data.train, batch: {rows: 2, length: 64}, epochs: 12, learning_rate: 0.01}
  student: {kind: train, new: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}, tokenizer: tok,
    on: data.train, prompts_only: true, batch: {rows: 2, length: 64}, epochs: 2}`

func TestLabelsWithTheTeachersProbabilities(t *testing.T) {
	l := newLab(t, labelled(12)...)
	rows := l.answers(l.mustRun("stages:" + pair + "\n  answers: {kind: answers, teacher: teacher, from: data.train, label_probs: true, accept: {labels: [yes, no]}}" +
		"\n  tuned: {kind: train, student: student, on: answers, lora: {r: 2}, batch: {rows: 2, length: 64}, steps: 2}"))
	sums, differ := map[string]float64{}, false
	for _, r := range rows {
		sums[r.ID] += float64(r.Weight)
		differ = differ || r.Weight < 0.4
	}
	if len(sums) != 12 || !differ {
		t.Errorf("%d prompts, %d rows", len(sums), len(rows))
	}
	for id, sum := range sums {
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("%s: weights sum to %v", id, sum)
		}
	}
}

func TestStudentsLearnFromTheirOwnAnswers(t *testing.T) {
	l := newLab(t, labelled(16)...)
	recipe := "stages:" + pair + `
  own: {kind: train, student: student, on: data.train, valid: data.train, batch: {rows: 2, length: 64}, epochs: 8, learning_rate: 0.02,
    on_policy: {teacher: teacher, share: SHARE, max_tokens: 4, top_k: 16, temperature: 1}, distill: {divergence: jsd, beta: 0.5}}`
	for _, share := range []string{"1", "0.5"} {
		record := l.mustRun(strings.Replace(recipe, "SHARE", share, 1))
		data, err := os.ReadFile(filepath.Join(l.artifact(record, "own"), "train.json"))
		if err != nil {
			t.Fatal(err)
		}
		var summary struct {
			First float64 `json:"first_loss_nats"`
			Last  float64 `json:"last_loss_nats"`
			Curve []struct {
				Valid float64 `json:"valid_loss_nats"`
			} `json:"validation_curve"`
		}
		if err := json.Unmarshal(data, &summary); err != nil {
			t.Fatal(err)
		}
		// It never sees the responses when share is 1, and learns them from the teacher all the same.
		if n := len(summary.Curve); n < 2 || !(summary.Last < 0.8*summary.First && summary.Curve[n-1].Valid < summary.Curve[0].Valid) {
			t.Errorf("share %s: loss %v to %v, validation %+v", share, summary.First, summary.Last, summary.Curve)
		}
	}
	for want, more := range map[string]string{
		"excludes prompt_weight":            ", prompt_weight: 0.1",
		"leave no room for prompts in rows": ", batch: {rows: 2, length: 4}",
	} {
		text := strings.Replace(strings.Replace(recipe, "SHARE", "1", 1), ", batch: {rows: 2, length: 64}, epochs: 8", ", epochs: 8"+more, 1)
		if _, err := l.run(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", more, err)
		}
	}
}

func TestAServerIsEvaluated(t *testing.T) {
	s := newChatServer(t, func(prompt string, _ uint64) string {
		return []string{"yes", "no"}[int(prompt[len(prompt)-1]-'0')%2]
	})
	l := newLab(t, labelled(8)...)
	record := l.mustRun(s.models("") + `
  report: {kind: eval, on: data.train, models: [big], teacher: big, metrics: [exact_match, perplexity], max_new_tokens: 4}`)
	text, err := os.ReadFile(filepath.Join(l.artifact(record, "report"), "report.md"))
	if err != nil || !strings.Contains(string(text), "100.0 %") || !strings.Contains(string(text), "answers with text alone") {
		t.Errorf("%s\n%v", text, err)
	}
}

func TestTrainingDataWithoutTheBenchmarks(t *testing.T) {
	long := "the quick brown fox jumps over the lazy dog and then it sleeps under the old apple tree"
	l := newLab(t, `{"text": "first `+long+`", "label": "yes"}`, `{"text": "something else", "label": "no"}`)
	bench := filepath.Join(t.TempDir(), "bench.jsonl")
	if err := os.WriteFile(bench, []byte(`{"text": "second `+long+`", "label": "no"}`+"\n"+`{"text": "another", "label": "yes"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	recipe := fmt.Sprintf(`stages:
  bench: {kind: dataset, files: {test: [%q]}, columns: {prompt: text, response: label}}
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, decontaminate: {against: [bench.test]}}
  tok: {kind: tokenizer, on: data.train, vocab_size: 300}
  m: {kind: train, new: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}, tokenizer: tok, on: data.train, batch: {length: 128}, steps: 1}
  report: {kind: eval, on: bench.test, train: data.train, baseline: true, models: [m], metrics: [accuracy]}`, bench)
	record := l.mustRun(recipe)
	text, err := os.ReadFile(filepath.Join(l.artifact(record, "report"), "report.md"))
	for _, want := range []string{"left out", "benchmarks' texts looked for", "| 1 |"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Fatalf("no %q in\n%s\n%v", want, text, err)
		}
	}
	if _, err := l.run(strings.Replace(recipe, "[bench.test]", "[data.train]", 1)); err == nil || !strings.Contains(err.Error(), "its own") {
		t.Errorf("its own split: %v", err)
	}
}
