package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/hub"
	"github.com/retort-ml/retort/internal/verify"
)

const goldenRoot = "../../internal/model/testdata/golden"

// retort runs a command line in the process.
func retort(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), append([]string{"retort"}, args...), streams{&o, &e})
	return code, o.String(), e.String()
}

func TestModelVerify(t *testing.T) {
	dir := filepath.Join(goldenRoot, "llama-gqa")
	code, out, errs := retort(t, "model", "verify", dir)
	if code != exitDone || errs != "" || !strings.Contains(out, "lora_grad.* (42), worst base_model") || !strings.Contains(out, "absent from the reference: merged_logits") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	// A reference that counts one token more: its last tensor is loss_tokens.
	data, err := os.ReadFile(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-4]++
	reference := filepath.Join(t.TempDir(), "other.safetensors")
	if err := os.WriteFile(reference, data, 0o666); err != nil {
		t.Fatal(err)
	}
	code, out, errs = retort(t, "model", "verify", dir, "--json", "--reference", reference)
	var r verify.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if code != exitFailed || r.OK || !strings.Contains(errs, "1 of 50 comparisons are beyond the tolerance") {
		t.Errorf("exit code %d, ok %v: %s", code, r.OK, errs)
	}
}

func TestModelPull(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		if r.URL.Path == "/api/models/org/tiny/revision/main" {
			fmt.Fprintf(w, `{"sha":%q,"siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"},{"rfilename":"pytorch_model.bin"}]}`, commit)
			return
		}
		data, err := os.ReadFile(filepath.Join(goldenRoot, "llama-gqa", name))
		if err != nil || r.URL.Path != "/org/tiny/resolve/"+commit+"/"+name {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(data)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer server.Close()
	home := t.TempDir()
	for name, value := range map[string]string{"HF_ENDPOINT": server.URL, "HF_HOME": home, "HF_HUB_CACHE": "", "HF_TOKEN": "", "HF_HUB_OFFLINE": ""} {
		t.Setenv(name, value)
	}
	code, out, errs := retort(t, "model", "pull", "org/tiny")
	if want := filepath.Join(home, "hub", "models--org--tiny", "snapshots", commit); code != exitDone || out != want+"\n" {
		t.Errorf("exit code %d, %q, want %s: %s", code, out, want, errs)
	}
	if !strings.Contains(errs, "model.safetensors: ") || !strings.Contains(errs, ", checked") {
		t.Errorf("progress %q", errs)
	}
	if code, out, errs = retort(t, "model", "show", "org/tiny@main"); code != exitDone || !strings.Contains(out, "llama") {
		t.Errorf("show of the cache: %d %s%s", code, out, errs)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"org/tiny", "--include", "*.bin"}, exitFailed, "never downloaded"},
		{[]string{"org/tiny@v9"}, exitFailed, "404"},
		{[]string{"org/tiny@v9", "--offline"}, exitFailed, "not in the cache"},
		{[]string{"../tiny"}, exitUsage, "no model of a hub"},
		{nil, exitUsage, "want one model"},
	} {
		if code, _, errs := retort(t, append([]string{"model", "pull"}, c.args...)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
	if code, out, _ := retort(t, "model", "pull", "--offline", "--json", "org/tiny"); code != exitDone || !strings.Contains(out, commit) {
		t.Errorf("offline: %d %s", code, out)
	}
}

func TestPullProgress(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	tell := pullProgress(&out, func() time.Time { return now })
	for _, p := range []hub.Progress{{File: "a", Bytes: 1, Size: 2e6}, {File: "a", Bytes: 1e6, Size: 2e6}, {File: "a", Bytes: 2e6, Size: 2e6, Done: true}} {
		tell(p)
		now = now.Add(3 * time.Second)
	}
	if want := "a: 2 MB, checked\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	tell(hub.Progress{File: "a", Bytes: 1e6, Size: 2e6})
	if !strings.Contains(out.String(), "a: 1 MB of 2 MB\n") {
		t.Errorf("%q", out.String())
	}
}
