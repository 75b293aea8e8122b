package recipes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

// batchServer is OpenAI's batch API, of which every batch waits until it is let go.
type batchServer struct {
	*httptest.Server
	mu        sync.Mutex
	files     map[string]string
	batches   []map[string]any
	looked    func() // at a batch that waits
	released  bool
	submitted int
}

func newBatchServer(t *testing.T) *batchServer {
	t.Helper()
	s := &batchServer{files: map[string]string{}, looked: func() {}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/files", s.upload)
	mux.HandleFunc("POST /v1/batches", s.submit)
	mux.HandleFunc("GET /v1/batches", s.list)
	mux.HandleFunc("GET /v1/batches/{id}", s.look)
	mux.HandleFunc("GET /v1/files/{id}/content", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		io.WriteString(w, s.files[r.PathValue("id")])
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *batchServer) upload(w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, _ := io.ReadAll(file)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("file-%d", len(s.files))
	s.files[id] = string(data)
	json.NewEncoder(w).Encode(map[string]any{"id": id, "object": "file"})
}

func (s *batchServer) submit(w http.ResponseWriter, r *http.Request) {
	var b map[string]any
	json.NewDecoder(r.Body).Decode(&b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.submitted++
	b["id"], b["status"], b["object"], b["created_at"] = fmt.Sprintf("batch_%d", s.submitted), "in_progress", "batch", 1
	s.batches = append(s.batches, b)
	json.NewEncoder(w).Encode(b)
}

func (s *batchServer) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": s.batches, "has_more": false})
}

func (s *batchServer) look(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		if b["id"] != r.PathValue("id") {
			continue
		}
		if s.released {
			b["status"], b["output_file_id"] = "completed", s.answer(b["input_file_id"].(string))
		} else {
			s.looked()
		}
		json.NewEncoder(w).Encode(b)
		return
	}
	http.NotFound(w, r)
}

// answer makes the output of an input file, in reverse.
func (s *batchServer) answer(input string) string {
	var out []string
	lines := bufio.NewScanner(strings.NewReader(s.files[input]))
	for lines.Scan() {
		var line struct {
			ID   string `json:"custom_id"`
			Body struct{ Messages []struct{ Content string } }
		}
		json.Unmarshal(lines.Bytes(), &line)
		body, _ := json.Marshal(map[string]any{"id": "x", "model": "mock-b", "object": "chat.completion",
			"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": "batched " + line.Body.Messages[0].Content}}},
			"usage":   map[string]any{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
		out = append([]string{fmt.Sprintf(`{"id": "r", "custom_id": %q, "response": {"status_code": 200, "request_id": "q", "body": %s}, "error": null}`, line.ID, body)}, out...)
	}
	s.files["out-"+input] = strings.Join(out, "\n") + "\n"
	return "out-" + input
}

func TestABatchGoesOnInTheNextRun(t *testing.T) {
	s := newBatchServer(t)
	l := newLab(t, labelled(25)...)
	text := fmt.Sprintf(`version: 1
name: test
seed: 5
models:
  big: {api: openai, base_url: %q, model: m, price: {input: 1000, output: 2000}}
stages:%s
  answers: {kind: answers, teacher: big, from: data.train, max_tokens: 8, budget: 100, batch_api: {poll: 10ms}}`, s.URL+"/v1", strings.ReplaceAll(dataStage, "ROWS", l.rows))
	r, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.looked = cancel // the run ends while the batch is under way
	_, err = pipeline.Run(ctx, l.store, r.Pipeline(l.store.Dir()), pipeline.Options{Program: "test"})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the first run: %v", err)
	}
	s.mu.Lock()
	s.released = true
	s.mu.Unlock()
	record, err := pipeline.Run(t.Context(), l.store, r.Pipeline(l.store.Dir()), pipeline.Options{Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	rows := l.answers(record)
	if len(rows) != 25 || rows[4].Answer != "batched question 4" || s.submitted != 1 {
		t.Errorf("%d rows of %d batches, %+v", len(rows), s.submitted, rows[min(4, len(rows)-1)])
	}
	// At half the price: 25 × $0.01.
	notes, err := r.notes()
	if err != nil || len(notes) != 1 || notes[0].Batch != 25 || notes[0].Batched < 0.2499 || notes[0].Batched > 0.2501 {
		t.Errorf("notes %+v, %v", notes, err)
	}
}
