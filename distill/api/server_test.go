package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
)

const secret = "sk-secret-0123456789abcdef"

// mock is a server of chat completions that answers "w0 w1 …" of a prompt's
// words, and counts. fault, if not nil, may answer in its place: true if it did.
type mock struct {
	*httptest.Server
	fault    func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool
	requests atomic.Int64
	mu       sync.Mutex
	bodies   []map[string]any
}

func newMock(t testing.TB, fault func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool) *mock {
	m := &mock{fault: fault}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	m.Config.ErrorLog = nil
	t.Cleanup(m.Close)
	return m
}

func (m *mock) serve(w http.ResponseWriter, r *http.Request) {
	n := m.requests.Add(1)
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	if len(m.bodies) < 100 {
		m.bodies = append(m.bodies, body)
	}
	m.mu.Unlock()
	messages, _ := body["messages"].([]any)
	last, _ := messages[len(messages)-1].(map[string]any)
	prompt, _ := last["content"].(string)
	if m.fault != nil && m.fault(n, w, r, prompt) {
		return
	}
	io.WriteString(w, reply(prompt, body))
}

// reply goes round the words of a prompt from where the seed says, three times.
func reply(prompt string, body map[string]any) string {
	words := strings.Fields(prompt)
	most := int(body["max_tokens"].(float64))
	from := 0
	if s, ok := body["seed"].(float64); ok {
		from = int(s)
	}
	var said []string
	for i := range 3 {
		said = append(said, words[(from+i)%len(words)])
	}
	finish := "stop"
	if len(said) > most {
		said, finish = said[:most], "length"
	}
	return chat(strings.Join(said, " "), finish, len(prompt), len(said))
}

func chat(text, finish string, prompt, answer int) string {
	quoted, _ := json.Marshal(text)
	return fmt.Sprintf(`{"id":"x","object":"chat.completion","model":"mock-1","system_fingerprint":"fp","choices":[{"index":0,"finish_reason":%q,`+
		`"message":{"role":"assistant","content":%s}}],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`,
		finish, quoted, prompt, answer, prompt+answer)
}

func newClient(t testing.TB, m *mock, change func(*Options, *Access)) *Client {
	o := Options{API: OpenAI, BaseURL: m.URL + "/v1", Model: "mock", Timeout: 5 * time.Second, Concurrency: 4}
	a := Access{Key: secret, Offline: true}
	if change != nil {
		change(&o, &a)
	}
	c, err := New(o, a)
	if err != nil {
		t.Fatal(err)
	}
	c.backoff = time.Millisecond
	return c
}

func prompts(n int) []distill.Request {
	var list []distill.Request
	for i := range n {
		list = append(list, distill.Request{Prompt: fmt.Sprintf("tell me about %d please", i)})
	}
	return list
}

// ask collects answers by index.
func ask(ctx context.Context, c distill.Teacher, requests []distill.Request) (map[int]distill.Answer, error) {
	got := map[int]distill.Answer{}
	err := c.Answer(ctx, slices.All(requests), func(i int, a distill.Answer) error {
		if _, twice := got[i]; twice {
			return fmt.Errorf("request %d is answered twice", i)
		}
		got[i] = a
		return nil
	})
	return got, err
}

// purse is a budget in memory, that fails the test when it is overdrawn.
type purse struct {
	mu       sync.Mutex
	cap      distill.Money
	spent    distill.Money
	reserved map[int64]distill.Money
	next     int64
	settled  int
	peak     distill.Money
}

func newPurse(cap distill.Money) *purse { return &purse{cap: cap, reserved: map[int64]distill.Money{}} }

func (p *purse) open() (sum distill.Money) {
	for _, m := range p.reserved {
		sum += m
	}
	return sum
}

func (p *purse) Reserve(_ context.Context, most distill.Money) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent+p.open()+most > p.cap {
		return 0, fmt.Errorf("reserve %v: %w", most, distill.ErrBudget)
	}
	id := p.next // 0 is an id like any other
	p.next++
	p.reserved[id] = most
	p.peak = max(p.peak, p.spent+p.open())
	return id, nil
}

func (p *purse) Settle(ctx context.Context, id int64, actual distill.Money) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	most, ok := p.reserved[id]
	if !ok {
		return fmt.Errorf("reservation %d is not open", id)
	}
	if actual > most {
		return fmt.Errorf("%v paid of %v", actual, most)
	}
	delete(p.reserved, id)
	p.spent += actual
	p.settled++
	return nil
}
