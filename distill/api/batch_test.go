package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/teachertest"
)

// memoryLedger is a ledger that survives its batchers. die, if not nil, may
// fail a Save, as a kill before it would.
type memoryLedger struct {
	mu   sync.Mutex
	list map[string]Submission
	die  func(Submission) error
}

func (l *memoryLedger) Save(_ context.Context, s Submission) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.die != nil {
		if err := l.die(s); err != nil {
			return err
		}
	}
	if l.list == nil {
		l.list = map[string]Submission{}
	}
	l.list[s.Marker] = s
	return nil
}

func (l *memoryLedger) Open(_ context.Context, teacher string) (open []Submission, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.list {
		if s.Teacher == teacher && !s.Done {
			open = append(open, s)
		}
	}
	return open, nil
}

// batchServer speaks both batch APIs. A batch is over after looks looks.
type batchServer struct {
	*httptest.Server
	mu      sync.Mutex
	files   map[string][]string // lines
	batches []map[string]any
	lines   map[string][]string // of batches
	looks   map[string]int
	asked   map[string]int // requests by custom_id
	ready   int
	// spoil may change the results of batch number n.
	spoil func(n int, results []string) []string
	// lose may cut the reply to the making of batch number n.
	lose   func(n int) bool
	status string // of OpenAI's, when over; "" is completed
}

func newBatchServer(t *testing.T) *batchServer {
	s := &batchServer{files: map[string][]string{}, lines: map[string][]string{}, looks: map[string]int{}, asked: map[string]int{}, ready: 2}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/files", s.upload)
	mux.HandleFunc("POST /v1/batches", s.make)
	mux.HandleFunc("GET /v1/batches", s.list)
	mux.HandleFunc("GET /v1/batches/{id}", s.look)
	mux.HandleFunc("GET /v1/files/{id}/content", s.content)
	mux.HandleFunc("POST /v1/messages/batches", s.make)
	mux.HandleFunc("GET /v1/messages/batches", s.list)
	mux.HandleFunc("GET /v1/messages/batches/{id}", s.look)
	mux.HandleFunc("GET /v1/messages/batches/{id}/results", s.content)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *batchServer) upload(w http.ResponseWriter, r *http.Request) {
	f, _, err := r.FormFile("file")
	if err != nil || r.FormValue("purpose") != "batch" {
		http.Error(w, "no file", 400)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprint("file-", len(s.files))
	for in := bufio.NewScanner(f); in.Scan(); {
		s.files[id] = append(s.files[id], in.Text())
	}
	json.NewEncoder(w).Encode(map[string]any{"id": id})
}

func (s *batchServer) make(w http.ResponseWriter, r *http.Request) {
	var body struct {
		File     string            `json:"input_file_id"`
		Endpoint string            `json:"endpoint"`
		Metadata map[string]string `json:"metadata"`
		Requests []json.RawMessage `json:"requests"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.batches)
	id := fmt.Sprint("batch-", n)
	lines := s.files[body.File]
	for _, request := range body.Requests {
		lines = append(lines, string(request))
	}
	s.lines[id] = lines
	for _, line := range lines {
		s.asked[customID(line)]++
	}
	b := map[string]any{"id": id, "status": "in_progress", "processing_status": "in_progress", "metadata": body.Metadata,
		"created_at": time.Now().UTC(), "request_counts": map[string]int{"processing": len(lines)}}
	if body.Requests == nil {
		delete(b, "created_at") // a number there
		delete(b, "request_counts")
	}
	s.batches = append(s.batches, b)
	if s.lose != nil && s.lose(n) {
		panic(http.ErrAbortHandler)
	}
	json.NewEncoder(w).Encode(b)
}

func customID(line string) string {
	var l struct {
		ID string `json:"custom_id"`
	}
	json.Unmarshal([]byte(line), &l)
	return l.ID
}

func (s *batchServer) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := slices.Clone(s.batches)
	slices.Reverse(newest)
	json.NewEncoder(w).Encode(map[string]any{"data": newest, "has_more": false})
}

func (s *batchServer) look(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	s.looks[id]++
	for _, b := range s.batches {
		if b["id"] != id {
			continue
		}
		if s.looks[id] >= s.ready {
			b["status"], b["processing_status"], b["output_file_id"] = "completed", "ended", "out-"+id
			if s.status != "" {
				b["status"] = s.status
			}
		}
		json.NewEncoder(w).Encode(b)
		return
	}
	http.Error(w, "{}", 404)
}

// content answers a batch's requests, last first.
func (s *batchServer) content(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.TrimPrefix(r.PathValue("id"), "out-")
	var results []string
	for _, line := range slices.Backward(s.lines[id]) {
		results = append(results, resultOf(line))
	}
	if s.spoil != nil {
		var n int
		fmt.Sscanf(id, "batch-%d", &n)
		results = s.spoil(n, results)
	}
	io.WriteString(w, strings.Join(results, "\n"))
}

func resultOf(line string) string {
	var l struct {
		ID     string         `json:"custom_id"`
		Body   map[string]any `json:"body"`
		Params map[string]any `json:"params"`
	}
	json.Unmarshal([]byte(line), &l)
	if l.Params != nil {
		return fmt.Sprintf(`{"custom_id":%q,"result":{"type":"succeeded","message":{"type":"message","model":"c","content":[{"type":"text","text":"yes"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":2}}}}`, l.ID)
	}
	messages := l.Body["messages"].([]any)
	prompt := messages[len(messages)-1].(map[string]any)["content"].(string)
	return fmt.Sprintf(`{"id":"r","custom_id":%q,"response":{"status_code":200,"request_id":"q","body":%s},"error":null}`, l.ID, reply(prompt, l.Body))
}

func newBatcher(t *testing.T, s *batchServer, api string, ledger Ledger, p distill.Purse) *Batcher {
	t.Helper()
	o := Options{API: api, BaseURL: s.URL + "/v1", Model: "mock", Price: &distill.Price{Input: 2, Output: 4}, Retries: new(3)}
	c, err := New(o, Access{Key: secret, Offline: true, Purse: p})
	if err != nil {
		t.Fatal(err)
	}
	c.backoff = time.Millisecond
	b, err := NewBatcher(c, BatchOptions{Poll: 2 * time.Millisecond, MaxRequests: 4}, ledger)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBatcherIsATeacher(t *testing.T) {
	s := newBatchServer(t)
	s.ready = 1
	teachertest.Run(t, teachertest.Suite{
		New:     func(t *testing.T) distill.Teacher { return patient{newBatcher(t, s, OpenAI, &memoryLedger{}, nil)} },
		Prompts: []string{"one two three", "four five six seven", "eight nine ten eleven twelve"},
		Samples: true,
	})
}

// patient hides who of equal requests paid, which the suite's comparison does not know.
type patient struct{ *Batcher }

func (p patient) Answer(ctx context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	return p.Batcher.Answer(ctx, requests, func(i int, a distill.Answer) error {
		a.Cost = 0
		return done(i, a)
	})
}

func TestBatches(t *testing.T) {
	for _, api := range []string{OpenAI, Anthropic} {
		s := newBatchServer(t)
		p, l := newPurse(distill.Dollar), &memoryLedger{}
		got, err := ask(t.Context(), newBatcher(t, s, api, l, p), prompts(10))
		if err != nil || len(got) != 10 || len(s.batches) != 3 {
			t.Fatalf("%s: %d answers of %d batches, error %v", api, len(got), len(s.batches), err)
		}
		var cost distill.Money
		for i, a := range got {
			full := distill.Price{Input: 2, Output: 4}.Cost(a.Usage, false)
			if a.Finish != distill.FinishStop || !a.Batch || a.Cost*2 != full || len(a.Raw) == 0 {
				t.Errorf("%s: answer %d: %+v, want half of %v", api, i, a, full)
			}
			cost += a.Cost
		}
		if p.spent != cost || len(p.reserved) != 0 {
			t.Errorf("%s: %v spent, want %v; %d open", api, p.spent, cost, len(p.reserved))
		}
		if open, _ := l.Open(t.Context(), newBatcher(t, s, api, l, p).Identity()); len(open) != 0 {
			t.Errorf("%s: %d submissions are open", api, len(open))
		}
	}
}

// TestBatchFaults: lines that come twice, of nobody, damaged, expired, missing.
func TestBatchFaults(t *testing.T) {
	for _, api := range []string{OpenAI, Anthropic} {
		s := newBatchServer(t)
		s.spoil = func(n int, results []string) []string {
			if n > 0 {
				return results
			}
			id := customID(results[0])
			expired := fmt.Sprintf(`{"custom_id":%q,"response":null,"error":{"code":"batch_expired","message":"late"}}`, id)
			refused := fmt.Sprintf(`{"custom_id":%q,"response":{"status_code":400,"body":{"error":{"message":"too long"}}}}`, customID(results[1]))
			if api == Anthropic {
				expired = fmt.Sprintf(`{"custom_id":%q,"result":{"type":"expired"}}`, id)
				refused = fmt.Sprintf(`{"custom_id":%q,"result":{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error","message":"too long"}}}}`, customID(results[1]))
			}
			return []string{expired, refused, results[2], results[2], `{"custom_id":"nobody"}`, `{"cust`, "", `[]`} // and the fourth is missing
		}
		p := newPurse(distill.Dollar)
		got, err := ask(t.Context(), newBatcher(t, s, api, &memoryLedger{}, p), prompts(4))
		if err != nil || len(got) != 4 || len(s.batches) != 2 || len(s.lines["batch-1"]) != 2 {
			t.Fatalf("%s: %d answers, %d batches, the second of %d requests, error %v", api, len(got), len(s.batches), len(s.lines["batch-1"]), err)
		}
		failed := 0
		var cost distill.Money
		for _, a := range got {
			cost += a.Cost
			if a.Finish == distill.FinishFailed {
				failed++
				if !strings.Contains(a.Error, "too long") {
					t.Errorf("%s: error %q", api, a.Error)
				}
			}
		}
		if failed != 1 || len(p.reserved) != 0 || p.spent != cost { // the line that came twice was paid once
			t.Errorf("%s: %d failed, %d reservations open, %v spent, want %v", api, failed, len(p.reserved), p.spent, cost)
		}
	}
}

// TestBatchNeverAnswered: a request that no batch answers fails, after three.
func TestBatchNeverAnswered(t *testing.T) {
	s := newBatchServer(t)
	s.spoil = func(int, []string) []string { return nil }
	got, err := ask(t.Context(), newBatcher(t, s, OpenAI, &memoryLedger{}, nil), prompts(1))
	if err != nil || got[0].Finish != distill.FinishFailed || len(s.batches) != maxRounds {
		t.Errorf("%+v after %d batches, error %v", got[0], len(s.batches), err)
	}
}

// TestBatchesGoOn: after a cancel the next call takes up what is under way.
func TestBatchesGoOn(t *testing.T) {
	for _, api := range []string{OpenAI, Anthropic} {
		s := newBatchServer(t)
		s.ready = 1 << 30
		p, l := newPurse(distill.Dollar), &memoryLedger{}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		got, err := ask(ctx, newBatcher(t, s, api, l, p), prompts(6))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 batches go on") || len(got) != 0 {
			t.Fatalf("%s: %d answers, error %v", api, len(got), err)
		}
		s.mu.Lock()
		s.ready = 1
		s.mu.Unlock()
		got, err = ask(t.Context(), newBatcher(t, s, api, l, p), prompts(7)) // one is new
		if err != nil || len(got) != 7 || len(s.batches) != 3 || len(p.reserved) != 0 {
			t.Errorf("%s: %d answers of %d batches, %d reservations open, error %v", api, len(got), len(s.batches), len(p.reserved), err)
		}
		for id, n := range s.asked {
			if n != 1 {
				t.Errorf("%s: %s was asked %d times", api, id, n)
			}
		}
	}
}

// TestBatchKill: the process dies after the batch is made and before it is
// recorded, or before it is made. Nothing is asked twice.
func TestBatchKill(t *testing.T) {
	for _, api := range []string{OpenAI, Anthropic} {
		for _, after := range []bool{true, false} {
			s := newBatchServer(t)
			killed := errors.New("killed")
			p := newPurse(distill.Dollar)
			l := &memoryLedger{die: func(s Submission) error {
				if (s.Batch != "") == after {
					return killed
				}
				return nil
			}}
			if !after { // recorded, and killed before the server heard of it
				l.die = nil
				b := newBatcher(t, s, api, l, p)
				submission := Submission{Teacher: b.Identity(), Created: time.Now().UTC(), Marker: "m", Most: 1}
				for _, r := range prompts(3) {
					submission.Keys = append(submission.Keys, r.Key(b.Identity()).String())
				}
				submission.Reservation, _ = p.Reserve(t.Context(), 1)
				l.Save(t.Context(), submission)
			} else if _, err := ask(t.Context(), newBatcher(t, s, api, l, p), prompts(3)); !errors.Is(err, killed) {
				t.Fatalf("%s: error %v", api, err)
			}
			l.die = nil
			got, err := ask(t.Context(), newBatcher(t, s, api, l, p), prompts(3))
			if err != nil || len(got) != 3 || len(s.batches) != 1 || len(p.reserved) != 0 {
				t.Errorf("%s: %d answers of %d batches, %d reservations open, error %v", api, len(got), len(s.batches), len(p.reserved), err)
			}
			for id, n := range s.asked {
				if n != 1 {
					t.Errorf("%s: %s was asked %d times", api, id, n)
				}
			}
		}
	}
}

// TestBatchReplyLost: the server made the batch, and its reply was cut.
func TestBatchReplyLost(t *testing.T) {
	for _, api := range []string{OpenAI, Anthropic} {
		s := newBatchServer(t)
		s.lose = func(n int) bool { return n == 0 }
		got, err := ask(t.Context(), newBatcher(t, s, api, &memoryLedger{}, nil), prompts(3))
		if err != nil || len(got) != 3 || len(s.batches) != 1 {
			t.Errorf("%s: %d answers of %d batches, error %v", api, len(got), len(s.batches), err)
		}
	}
}

func TestBatchStates(t *testing.T) {
	for status, want := range map[string]string{"cancelled": "was cancelled", "failed": "refuses it", "asleep": `"asleep" is unknown`} {
		s := newBatchServer(t)
		s.status = status
		p := newPurse(distill.Dollar)
		got, err := ask(t.Context(), newBatcher(t, s, OpenAI, &memoryLedger{}, p), prompts(3))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d answers, error %v", status, len(got), err)
		}
		if status == "cancelled" && (len(got) != 3 || len(p.reserved) != 0) {
			t.Errorf("%d answers of a cancelled batch are kept, %d reservations open", len(got), len(p.reserved))
		}
	}
}

func TestBatchBudget(t *testing.T) {
	s := newBatchServer(t)
	p := newPurse(distill.USD(0.005)) // one batch of four, not two
	got, err := ask(t.Context(), newBatcher(t, s, OpenAI, &memoryLedger{}, p), prompts(400))
	if !errors.Is(err, distill.ErrBudget) || len(got) == 0 || len(got) == 400 || p.spent > p.cap || len(p.reserved) != 0 {
		t.Errorf("%d answers, %v of %v spent, %d open, error %v", len(got), p.spent, p.cap, len(p.reserved), err)
	}
}

func TestBatcherRefuses(t *testing.T) {
	for api, o := range map[string]Options{Gemini: {API: Gemini, Model: "g"}, OpenAI: {API: OpenAI, Model: "g", Stream: true}} {
		c, err := New(o, Access{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewBatcher(c, BatchOptions{}, &memoryLedger{}); err == nil {
			t.Errorf("%s: no error", api)
		}
	}
	if err := (BatchOptions{Poll: -1, MaxRequests: -1}).Validate(); err == nil || !strings.Contains(err.Error(), "poll: ") || !strings.Contains(err.Error(), "max_requests: ") {
		t.Errorf("error %v", err)
	}
}
