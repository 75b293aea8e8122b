package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// fakeHub serves one repository, org/tiny, and does as a test wants to one file.
type fakeHub struct {
	*httptest.Server
	files map[string][]byte
	// dataset: the repository is one.
	dataset bool

	sha   string
	hooks map[string]http.HandlerFunc // by file, for GET
	heads map[string]http.HandlerFunc // by file, for HEAD
	list  http.HandlerFunc
	tree  http.HandlerFunc

	mu       sync.Mutex
	requests []string // method, path and range
	tokens   []string
}

// newHub serves a small model.
func newHub(t *testing.T) *fakeHub {
	h := &fakeHub{sha: commit, hooks: map[string]http.HandlerFunc{}, heads: map[string]http.HandlerFunc{}, files: map[string][]byte{
		"config.json": []byte(`{"model_type":"llama"}`), "tokenizer.json": []byte("{}"), "README.md": []byte("# tiny"),
		"model.safetensors": []byte(strings.Repeat("weights ", 20_000)), "pytorch_model.bin": []byte("pickle"),
	}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

// hashOf is what the hub says of a content: SHA-256 of weights, git's of others.
func hashOf(name string, data []byte) string {
	if strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".gguf") {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(sum[:])
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, strings.TrimSpace(r.Method+" "+r.URL.EscapedPath()+" "+r.Header.Get("Range")))
	h.tokens = append(h.tokens, r.Header.Get("Authorization"))
	h.mu.Unlock()
	api, at := "/api/models/org/tiny", "/org/tiny"
	if h.dataset {
		api, at = "/api/datasets/org/tiny", "/datasets/org/tiny"
	}
	if strings.HasPrefix(r.URL.Path, api+"/revision/") {
		if h.list != nil {
			h.list(w, r)
			return
		}
		type sibling struct {
			Name string `json:"rfilename"`
		}
		answer := struct {
			SHA      string    `json:"sha"`
			Siblings []sibling `json:"siblings"`
		}{SHA: h.sha}
		for name := range h.files {
			answer.Siblings = append(answer.Siblings, sibling{name})
		}
		json.NewEncoder(w).Encode(answer)
		return
	}
	if r.URL.Path == api+"/tree/"+h.sha && h.tree != nil {
		h.tree(w, r)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, at+"/resolve/"+h.sha+"/")
	data, has := h.files[name]
	if !ok || !has {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"`+hashOf(name, data)+`"`)
	w.Header().Set("X-Repo-Commit", h.sha)
	h.mu.Lock()
	hooks := h.hooks
	if r.Method == http.MethodHead {
		hooks = h.heads
	}
	h.mu.Unlock()
	if hook := hooks[name]; hook != nil {
		hook(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
}

func (h *fakeHub) count(prefix string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, r := range h.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// client has a cache of its own, and little patience.
func (h *fakeHub) client(t *testing.T) *Client {
	t.Helper()
	dir := t.TempDir()
	c, err := FromEnv(func(name string) string {
		return map[string]string{"HF_ENDPOINT": h.URL + "/", "HF_HOME": dir, "HF_TOKEN": "hf_secret"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	c.backoff, c.stall = time.Millisecond, 2*time.Second
	return c
}

var tiny = Ref{Name: "org/tiny", Revision: "main"}

// check says what a snapshot lacks of what the hub has.
func (h *fakeHub) check(t *testing.T, s Snapshot, names ...string) {
	t.Helper()
	if got := strings.Join(s.Files, " "); got != strings.Join(names, " ") {
		t.Errorf("files %s, want %s", got, strings.Join(names, " "))
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(s.Dir, name))
		if err != nil || string(data) != string(h.files[name]) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(data), err, len(h.files[name]))
		}
	}
}

// leftovers are the files of the cache that are no part of it.
func leftovers(t *testing.T, c *Client) []string {
	t.Helper()
	var list []string
	entries, _ := os.ReadDir(filepath.Join(c.Cache, tiny.folder(), "blobs"))
	for _, e := range entries {
		if !isHash(e.Name()) {
			list = append(list, e.Name())
		}
	}
	return list
}
