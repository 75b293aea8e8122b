package hub

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func mustPull(t *testing.T, c *Client, ref Ref, include ...string) Snapshot {
	t.Helper()
	s, err := c.Pull(t.Context(), ref, include)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantError pulls and looks for what the error says.
func wantError(t *testing.T, c *Client, ref Ref, include []string, parts ...string) {
	t.Helper()
	s, err := c.Pull(t.Context(), ref, include)
	if err == nil {
		t.Fatalf("no error; files %v", s.Files)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestPullWritesTheCacheOfHuggingFace(t *testing.T) {
	h := newHub(t)
	c := h.client(t)
	s := mustPull(t, c, tiny)
	h.check(t, s, "config.json", "model.safetensors", "tokenizer.json")
	repository := filepath.Join(c.Cache, "models--org--tiny")
	if want := filepath.Join(repository, "snapshots", commit); s.Dir != want {
		t.Errorf("snapshot %s, want %s", s.Dir, want)
	}
	if ref, _ := os.ReadFile(filepath.Join(repository, "refs", "main")); string(ref) != commit {
		t.Errorf("refs/main is %q", ref)
	}
	link, err := os.Readlink(filepath.Join(s.Dir, "config.json"))
	if want := "../../blobs/" + hashOf("config.json", h.files["config.json"]); link != want || err != nil {
		t.Errorf("config.json links to %q, %v; want %q", link, err, want)
	}
	gets := h.count("GET /org")
	mustPull(t, c, tiny)
	if n := h.count("GET /org"); n != gets {
		t.Errorf("a second pull fetched %d files again", n-gets)
	}
	c.Offline, c.Endpoint = true, "http://127.0.0.1:1"
	h.check(t, mustPull(t, c, tiny), "config.json", "model.safetensors", "tokenizer.json")
	wantError(t, c, Ref{Name: "org/tiny", Revision: "v2"}, nil, "pull org/tiny@v2: not in the cache")
}

func TestPullIncludes(t *testing.T) {
	h := newHub(t)
	h.files["sub/tiny-Q8_0.gguf"] = []byte("gguf")
	h.check(t, mustPull(t, h.client(t), tiny, "*.gguf"), "config.json", "model.safetensors", "sub/tiny-Q8_0.gguf", "tokenizer.json")
	wantError(t, h.client(t), tiny, []string{"pytorch_model.bin"}, "pytorch_model.bin may be a pickle")
	wantError(t, h.client(t), tiny, []string{"*.BIN"}, "no such file")
	wantError(t, h.client(t), tiny, []string{"["}, "syntax error in pattern")
	delete(h.files, "model.safetensors")
	wantError(t, h.client(t), tiny, nil, "no model.safetensors, but GGUF files: include one of sub/tiny-Q8_0.gguf")
	s := mustPull(t, h.client(t), tiny, "*Q8_0.gguf")
	if path, err := s.Model(); err != nil || path != filepath.Join(s.Dir, "sub", "tiny-Q8_0.gguf") {
		t.Errorf("model %s, %v", path, err)
	}
	delete(h.files, "sub/tiny-Q8_0.gguf")
	h.files["x/Weights.PTH"] = []byte("pickle")
	wantError(t, h.client(t), tiny, nil, "pytorch_model.bin may be a pickle")
	wantError(t, h.client(t), tiny, []string{"x/*"}, "x/Weights.PTH may be a pickle")
}

func TestPullShards(t *testing.T) {
	h := newHub(t)
	delete(h.files, "model.safetensors")
	h.files["model-00001-of-00002.safetensors"], h.files["model-00002-of-00002.safetensors"] = []byte("one"), []byte("two")
	h.files["consolidated.safetensors"] = []byte("the same once more")
	h.files[indexFile] = []byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`)
	c := h.client(t)
	s := mustPull(t, c, tiny)
	h.check(t, s, "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", indexFile, "tokenizer.json")
	os.Remove(filepath.Join(s.Dir, "model-00002-of-00002.safetensors"))
	if _, err := c.Find(tiny); err == nil || !strings.Contains(err.Error(), "lacks model-00002-of-00002.safetensors") {
		t.Errorf("Find of a cache without a shard: %v", err)
	}
	for index, message := range map[string]string{
		`{"weight_map":{"a":"../../x.safetensors"}}`: `weight_map names "../../x.safetensors"`,
		`{"weight_map":{"a":"pytorch_model.bin"}}`:   `weight_map names "pytorch_model.bin"`,
		`{"weight_map":{"a":"model-3.safetensors"}}`: "which the repository does not have",
		`{"weight_map":{}}`:                          "names no tensors",
		`[`:                                          "unexpected end of JSON",
	} {
		h.files[indexFile] = []byte(index)
		wantError(t, h.client(t), tiny, nil, message)
	}
}

func TestPullContinues(t *testing.T) {
	weights := "/org/tiny/resolve/" + commit + "/model.safetensors"
	for name, hook := range map[string]func(h *fakeHub, n int, w http.ResponseWriter, r *http.Request) bool{
		"cut in the middle": func(h *fakeHub, n int, w http.ResponseWriter, r *http.Request) bool {
			if n > 1 {
				return false
			}
			w.Header().Set("Content-Length", "160000")
			w.Write(h.files["model.safetensors"][:70_000])
			panic(http.ErrAbortHandler)
		},
		"ranges ignored": func(h *fakeHub, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.Header().Set("Content-Length", "160000")
				w.Write(h.files["model.safetensors"][:70_000])
				panic(http.ErrAbortHandler)
			}
			w.Write(h.files["model.safetensors"])
			return true
		},
		"wrong once": func(h *fakeHub, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.Write([]byte(strings.Repeat("WEIGHTS ", 20_000)))
			}
			return n == 1
		},
		"errors and waits": func(h *fakeHub, n int, w http.ResponseWriter, r *http.Request) bool {
			if n < 4 {
				w.Header().Set("Retry-After", "0")
				http.Error(w, "later", []int{429, 500, 503}[n-1])
			}
			return n < 4
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			n := 0
			h.hooks["model.safetensors"] = func(w http.ResponseWriter, r *http.Request) {
				if n++; !hook(h, n, w, r) {
					http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(h.files["model.safetensors"])))
				}
			}
			c := h.client(t)
			h.check(t, mustPull(t, c, tiny), "config.json", "model.safetensors", "tokenizer.json")
			if list := leftovers(t, c); len(list) > 0 {
				t.Errorf("left: %v", list)
			}
			if strings.HasPrefix(name, "cut") && h.count("GET "+weights+" bytes=70000-") != 1 {
				t.Errorf("not continued: %v", h.requests)
			}
		})
	}
}

func TestPullContinuesAfterTheProcess(t *testing.T) {
	h := newHub(t)
	c := h.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	h.hooks["model.safetensors"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "160000")
		w.Write(h.files["model.safetensors"][:80_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	c.Progress = func(p Progress) {
		if p.File == "model.safetensors" && p.Bytes == 80_000 {
			cancel()
		}
	}
	if _, err := c.Pull(ctx, tiny, nil); err == nil || ctx.Err() == nil || !strings.Contains(err.Error(), ctx.Err().Error()) {
		t.Fatalf("interrupted pull: %v", err)
	}
	if _, err := c.Find(tiny); err == nil {
		t.Error("half a model is found")
	}
	h.mu.Lock()
	h.hooks, c.Progress = nil, nil
	h.mu.Unlock()
	h.check(t, mustPull(t, c, tiny), "config.json", "model.safetensors", "tokenizer.json")
	if h.count("GET /org/tiny/resolve/"+commit+"/model.safetensors bytes=80000-") != 1 {
		t.Errorf("not continued: %v", h.requests)
	}
}

func TestPullRepairsItsCache(t *testing.T) {
	h := newHub(t)
	c := h.client(t)
	s := mustPull(t, c, tiny)
	blob, err := filepath.EvalSymlinks(filepath.Join(s.Dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := []byte(strings.Repeat("Weights ", 20_000))
	for name, data := range map[string][]byte{blob: damaged, blob + partSuffix: damaged[:100]} {
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	h.check(t, mustPull(t, c, tiny), "config.json", "model.safetensors", "tokenizer.json")
}

func TestPullRefuses(t *testing.T) {
	type setup = func(h *fakeHub)
	get := func(f http.HandlerFunc) setup { return func(h *fakeHub) { h.hooks["model.safetensors"] = f } }
	head := func(f http.HandlerFunc) setup { return func(h *fakeHub) { h.heads["model.safetensors"] = f } }
	tag := func(tag string) setup {
		return head(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Linked-Etag", tag) })
	}
	list := func(text string) setup {
		return func(h *fakeHub) { h.list = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) } }
	}
	named := func(name string) setup {
		return list(`{"sha":"` + commit + `","siblings":[{"rfilename":"model.safetensors"},{"rfilename":` + name + `}]}`)
	}
	status := func(code int) setup {
		return func(h *fakeHub) {
			h.list = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Error-Message", "no\tway")
				w.WriteHeader(code)
			}
		}
	}
	for name, c := range map[string]struct {
		setup setup
		error string
	}{
		"wrong content": {get(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(strings.Repeat("WEIGHTS ", 20_000))) }), "model.safetensors: wrong content, twice: its hash is"},
		"too long":      {get(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(strings.Repeat("weights ", 20_001))) }), "model.safetensors: the server sends"},
		"too long, unannounced": {get(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			w.Write([]byte(strings.Repeat("weights ", 20_001)))
		}), "model.safetensors: the server sends more than 160000 bytes"},
		"always cut": {get(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "160000")
			w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), "model.safetensors: unexpected EOF"},
		"short":        {get(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("weights")) }), "ended it after 7 of 160000 bytes"},
		"other commit": {get(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Repo-Commit", "../x") }), `has it of commit "../x"`},
		"range of another": {get(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-9/10")
			w.WriteHeader(206)
		}), `with the range "bytes 5-9/10"`},
		"silent":                {get(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "model.safetensors: the server sent nothing for 50ms"},
		"ETag with a path":      {tag(`"../../../../evil"`), "declares no hash of it"},
		"ETag with slashes":     {tag(`/etc/passwd`), "declares no hash of it"},
		"ETag too short":        {tag(`"abc"`), "declares no hash of it"},
		"size":                  {head(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Linked-Size", "-5") }), `declares the size "-5"`},
		"redirection to a file": {get(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "file:///etc/passwd", 302) }), "redirected"},
		"redirected for ever":   {get(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 302) }), "redirected more than 10 times"},
		"401":                   {status(401), "the server answers 401 Unauthorized (noway): it may need a token"},
		"403":                   {status(403), "403 Forbidden"},
		"404":                   {status(404), "404 Not Found (noway): there is no such model"},
		"500":                   {status(500), "500 Internal Server Error"},
		"waits too long": {func(h *fakeHub) {
			h.list = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "86400")
				w.WriteHeader(429)
			}
		}, "it asks to wait 24h"},
		"no JSON":     {list("<html>"), "list of files: invalid character"},
		"commit":      {list(`{"sha":"../../x"}`), `sha: "../../x" is no commit`},
		"upwards":     {named(`"../../config.json"`), "siblings[1].rfilename"},
		"absolute":    {named(`"/config.json"`), "is not a path below"},
		"backslash":   {named(`"..\\config.json"`), `it has \ or :`},
		"drive":       {named(`"C:config.json"`), `it has \ or :`},
		"NUL":         {named(`"config.json\u0000"`), "characters that no file name has"},
		"not clean":   {named(`"a//b"`), "is not a path below"},
		"dots":        {named(`"a/.. /b"`), "no file name on some systems"},
		"twice":       {named(`"model.safetensors"`), "is there twice"},
		"hash":        {named(`"a","blobId":"../x"`), `siblings[1] a: "../x" is no hash`},
		"negative":    {named(`"a","size":-1`), "siblings[1].size: -1"},
		"case":        {func(h *fakeHub) { h.files["sub/a"], h.files["sub/A"] = nil, nil }, "one file on some systems"},
		"file as dir": {func(h *fakeHub) { h.files["sub"], h.files["sub/a"] = []byte("x"), []byte("y") }, "sub"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			c.setup(h)
			client := h.client(t)
			if name == "silent" {
				client.stall = 50 * time.Millisecond
			}
			var include []string
			if name == "case" || name == "file as dir" {
				include = []string{"sub/*"}
			}
			if name == "file as dir" {
				include = append(include, "sub")
			}
			wantError(t, client, tiny, include, "pull org/tiny@main: ", c.error)
			if _, err := client.Find(tiny); err == nil {
				t.Error("it is in the cache")
			}
			dir := filepath.Join(client.Cache, tiny.folder())
			if _, err := os.Stat(filepath.Join(dir, "blobs", hashOf("model.safetensors", h.files["model.safetensors"]))); err == nil && name == "wrong content" {
				t.Error("a wrong content is in place")
			}
			for _, e := range []string{"evil", "config.json", "x"} {
				for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
					if _, err := os.Lstat(filepath.Join(d, e)); err == nil {
						t.Errorf("%s is in %s", e, d)
					}
				}
			}
		})
	}
}

func TestTokenStaysAtHome(t *testing.T) {
	h := newHub(t)
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"), r.Header.Get("Referer"))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(h.files["model.safetensors"])))
	}))
	defer other.Close()
	h.hooks["model.safetensors"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Linked-Size", "160000")
		http.Redirect(w, r, other.URL+"/signed?x=1", http.StatusFound)
	}
	h.heads = h.hooks
	h.check(t, mustPull(t, h.client(t), tiny), "config.json", "model.safetensors", "tokenizer.json")
	if slices.ContainsFunc(h.tokens, func(s string) bool { return s != "Bearer hf_secret" }) {
		t.Errorf("the endpoint saw the tokens %q", h.tokens)
	}
	if len(seen) != 2 || slices.ContainsFunc(seen, func(s string) bool { return s != "" }) {
		t.Errorf("the other host saw %q", seen)
	}
}

func TestPullTwiceAtOnce(t *testing.T) {
	h := newHub(t)
	first := h.client(t)
	second := *first
	h.hooks["model.safetensors"] = func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(30 * time.Millisecond)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(h.files["model.safetensors"])))
	}
	var wg sync.WaitGroup
	for _, c := range []*Client{first, &second} {
		wg.Go(func() {
			if _, err := c.Pull(t.Context(), tiny, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := h.count("GET /org/tiny/resolve/" + commit + "/model.safetensors"); n != 1 {
		t.Errorf("the weights were fetched %d times", n)
	}
}

func TestPullRevisions(t *testing.T) {
	h := newHub(t)
	c := h.client(t)
	for _, rev := range []string{"v1.0", "refs/pr/7", commit} {
		s := mustPull(t, c, Ref{Name: "org/tiny", Revision: rev})
		if found, err := c.Find(Ref{Name: "org/tiny", Revision: rev}); err != nil || found.Dir != s.Dir {
			t.Errorf("%s: found %s, %v", rev, found.Dir, err)
		}
	}
	if h.count("GET /api/models/org/tiny/revision/refs%2Fpr%2F7") != 1 {
		t.Errorf("requests %v", h.requests)
	}
	wantError(t, c, Ref{Name: "org/tiny", Revision: strings.Repeat("a", 40)}, nil, "it is of commit "+commit)
}

// A link in the cache that leads out of it is not followed.
func TestPullStaysInTheCache(t *testing.T) {
	h := newHub(t)
	c := h.client(t)
	outside := t.TempDir()
	dir := filepath.Join(c.Cache, tiny.folder())
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	wantError(t, c, tiny, nil, "blobs")
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("outside has %v", entries)
	}
}

// Hashes may come with the listing, or from the tree, in pages: then no file's
// header is asked for, and its ETag may be anything.
func TestPullTakesHashesFromLists(t *testing.T) {
	entry := func(h *fakeHub, name string) string {
		hash, size := hashOf(name, h.files[name]), len(h.files[name])
		if len(hash) == 64 {
			return fmt.Sprintf(`"size":1,"oid":"x","blobId":"y","lfs":{"oid":"%s","sha256":"%s","size":%d}`, hash, hash, size)
		}
		return fmt.Sprintf(`"size":%d,"oid":"%s","blobId":"%s"`, size, hash, hash)
	}
	names := []string{"config.json", "model.safetensors", "tokenizer.json"}
	for name, setup := range map[string]func(h *fakeHub){
		"listing": func(h *fakeHub) {
			h.list = func(w http.ResponseWriter, r *http.Request) {
				var list []string
				for _, name := range names {
					list = append(list, fmt.Sprintf(`{"rfilename":%q,%s}`, name, entry(h, name)))
				}
				fmt.Fprintf(w, `{"sha":%q,"siblings":[%s]}`, commit, strings.Join(list, ","))
			}
		},
		"tree": func(h *fakeHub) {
			h.tree = func(w http.ResponseWriter, r *http.Request) {
				from, to := 0, 1
				if r.FormValue("cursor") == "" {
					w.Header().Set("Link", fmt.Sprintf(`<%s%s?cursor=1>; rel="next"`, h.URL, r.URL.Path))
				} else {
					from, to = 1, 3
				}
				var list []string
				for _, name := range names[from:to] {
					list = append(list, fmt.Sprintf(`{"type":"file","path":%q,%s}`, name, entry(h, name)))
				}
				fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			setup(h)
			for _, name := range names {
				h.hooks[name] = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"../../evil"`)
					http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(h.files[name])))
				}
			}
			h.check(t, mustPull(t, h.client(t), tiny), names...)
			if n := h.count("HEAD"); n > 0 {
				t.Errorf("%d headers were asked for", n)
			}
		})
	}
	// A tree that says nothing of use, or somebody else's pages.
	for _, text := range []string{"{}", "<html>", `[{"path":"config.json","oid":"../x","size":3}]`, `[{"path":"config.json","size":-1}]`} {
		h := newHub(t)
		h.tree = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<http://127.0.0.1:1/x>; rel="next"`)
			fmt.Fprint(w, text)
		}
		h.check(t, mustPull(t, h.client(t), tiny), names...)
	}
}
