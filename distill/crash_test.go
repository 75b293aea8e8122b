package distill_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
)

const crashAnswers = 2000 // of the generation that is killed

// overHTTP is a teacher that asks a server, some requests at a time.
type overHTTP struct {
	url   string
	width int
}

func (overHTTP) Identity() string { return "http" }

func (o overHTTP) Answer(ctx context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	next, stop := iter.Pull2(requests)
	defer stop()
	var pull, give sync.Mutex
	var failed error
	var all sync.WaitGroup
	for range o.width {
		all.Go(func() {
			for {
				pull.Lock()
				i, r, ok := next()
				pull.Unlock()
				if !ok || ctx.Err() != nil {
					return
				}
				a, err := o.ask(ctx, r)
				give.Lock()
				if err == nil && failed == nil {
					err = done(i, a)
				}
				if failed == nil {
					failed = err
				}
				stopped := failed != nil
				give.Unlock()
				if stopped {
					return
				}
			}
		})
	}
	all.Wait()
	return failed
}

func (o overHTTP) ask(ctx context.Context, r distill.Request) (distill.Answer, error) {
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, strings.NewReader(r.Prompt))
	if err != nil {
		return distill.Answer{}, err
	}
	response, err := http.DefaultClient.Do(post)
	if err != nil {
		return distill.Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return distill.Answer{Text: string(body), Raw: body, Finish: distill.FinishStop, Attempts: 1}, err
}

// TestKilledCollection kills a process that collects answers from a server, at
// random moments. At each restart, no request may reach the server again whose
// answer is in the store; in the end every answer is there, once.
func TestKilledCollection(t *testing.T) {
	if url := os.Getenv("RETORT_TEST_COLLECT"); url != "" {
		collectUntilKilled(url, os.Getenv("RETORT_TEST_STORE"))
		return
	}
	kills := 200
	if testing.Short() {
		kills = 20
	}
	if n, err := strconv.Atoi(os.Getenv("RETORT_TEST_KILLS")); err == nil {
		kills = n
	}
	var mu sync.Mutex
	asked, stored := map[string]int{}, map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		asked[string(body)]++
		if stored[string(body)] {
			t.Errorf("%s is asked again, and its answer is in the store", body)
		}
		mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
		fmt.Fprintf(w, "answer to %s", body)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "a.db")
	killed := 0
	for finished := false; !finished; {
		if killed == kills && len(stored) == crashAnswers {
			t.Errorf("all answers are there before the last of %d processes begins", kills+1)
		}
		finished = crash(t, server.URL, path, killed < kills)
		if !finished {
			killed++
		}
		mu.Lock()
		found := inStore(t, path)
		for prompt := range stored { // what was in the store stays there
			if !found[prompt] {
				t.Errorf("the answer to %s was in the store before kill %d, and is not now", prompt, killed)
			}
		}
		stored = found
		mu.Unlock()
	}
	if killed < kills {
		t.Errorf("%d of %d kills: the generation ended before", killed, kills)
	}
	again := 0
	for _, n := range asked {
		again += n - 1
	}
	if len(stored) != crashAnswers {
		t.Errorf("%d of %d answers in the end", len(stored), crashAnswers)
	}
	t.Logf("%d kills, %d answers, %d requests asked again as their answers had not arrived", killed, len(stored), again)
}

// crash runs a process that collects, and kills it if mayKill; it says whether
// it came to its end. It is killed so soon that 200 kills fall within the generation.
func crash(t *testing.T, url, path string, mayKill bool) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledCollection$")
	cmd.Env = append(os.Environ(), "RETORT_TEST_COLLECT="+url, "RETORT_TEST_STORE="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	finished := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch verb, _, _ := strings.Cut(lines.Text(), " "); verb {
		case "begun":
			if mayKill {
				time.AfterFunc(time.Duration(rand.IntN(9000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		case "error":
			t.Error(lines.Text())
		case "done":
			finished = true
		}
	}
	cmd.Wait() // killed, or done
	return finished
}

func crashRequests() []distill.Request {
	list := make([]distill.Request, crashAnswers)
	for i := range list {
		list[i] = distill.Request{Prompt: fmt.Sprint("question ", i)}
	}
	return list
}

// inStore are the prompts whose answers the store has, each checked.
func inStore(t *testing.T, path string) map[string]bool {
	t.Helper()
	store, err := distill.OpenStore(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	found := map[string]bool{}
	for r, err := range store.Records(t.Context(), distill.Filter{}) {
		if err != nil || r.Answer.Text != "answer to "+r.Request.Prompt || found[r.Request.Prompt] {
			t.Fatalf("record %+v, error %v", r, err)
		}
		found[r.Request.Prompt] = true
	}
	return found
}

// collectUntilKilled is the process that is killed.
func collectUntilKilled(url, path string) {
	ctx := context.Background()
	store, err := distill.OpenStore(ctx, path)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("begun")
	if _, err = distill.Collect(ctx, store, overHTTP{url: url, width: 8}, given(crashRequests()), nil); err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("done")
}
