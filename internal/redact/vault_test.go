package redact_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/internal/redact"
)

func openVault(t testing.TB, dir string) *redact.Vault {
	t.Helper()
	v, err := redact.OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func readLines(t testing.TB, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func keep(t testing.TB, v *redact.Vault, r *redact.Redactor, id string, texts ...string) []string {
	t.Helper()
	s := r.Scope()
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = s.Redact(text)
	}
	if err := v.Keep(id, s); err != nil {
		t.Fatal(err)
	}
	return out
}

func wantRestored(t testing.TB, v *redact.Vault, id, text, want string) {
	t.Helper()
	if got, err := v.Restore(id, text); err != nil || got != want {
		t.Errorf("Restore(%s, %q) = %q, %v; want %q", id, text, got, err, want)
	}
}

func TestVault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "vault")
	r := newRedactor(t, every)
	v := openVault(t, dir)
	const text = "I am bob@example.com, not [EMAIL_1]; QQ\xff said bob@example.com \xffamy@example.org"
	redacted := keep(t, v, r, "one", text)[0]
	keep(t, v, r, "two", "amy@example.org")
	keep(t, v, r, "one", text, "and ann") // the vault has the first already
	keep(t, v, r, "none", "nothing here")

	again := openVault(t, dir) // another process has no other way to see it
	for _, v := range []*redact.Vault{v, again} {
		wantRestored(t, v, "one", redacted+" [project_1]", text+" ann")
		wantRestored(t, v, "two", "[EMAIL_1] [EMAIL_2]", "amy@example.org [EMAIL_2]")
		wantRestored(t, v, "none", "[EMAIL_1]", "[EMAIL_1]")
	}
	if lines := readLines(t, filepath.Join(dir, "vault.jsonl")); len(lines) != 6 {
		t.Errorf("the vault has %d lines, want 6: %q", len(lines), lines)
	}
	checkAudit(t, dir)
	for _, name := range []string{"vault.jsonl", "audit.jsonl", "audit.key", "lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s: %v, mode %v", name, err, info.Mode())
		}
	}
}

// checkAudit wants a line for each of the values of TestVault: no value, and one
// HMAC for the address that two scopes have.
func checkAudit(t *testing.T, dir string) {
	t.Helper()
	lines := readLines(t, filepath.Join(dir, "audit.jsonl"))
	macs := map[string][]string{}
	for _, text := range lines {
		if strings.Contains(text, "example") || strings.Contains(text, "ann") {
			t.Errorf("the audit shows a value: %s", text)
		}
		var line struct {
			Time, Scope, Kind, Placeholder string
			Bytes                          int
			HMAC                           string `json:"hmac_sha256"`
			Places                         []struct{ Text, Offset int }
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Time == "" || line.Bytes == 0 || len(line.Places) == 0 {
			t.Errorf("%s: %v", text, err)
		}
		macs[line.HMAC] = append(macs[line.HMAC], line.Scope+line.Placeholder)
	}
	if len(lines) != 5 || len(macs) != 4 {
		t.Errorf("%d audit lines of %d values, want 5 of 4: %v", len(lines), len(macs), macs)
	}
}

func TestVaultConflict(t *testing.T) {
	v, r := openVault(t, t.TempDir()), newRedactor(t, redact.Options{})
	keep(t, v, r, "x", "bob@example.com")
	s := r.Scope()
	s.Redact("amy@example.org")
	err := v.Keep("x", s)
	if err == nil || !strings.Contains(err.Error(), "keep scope x: ") || !strings.Contains(err.Error(), "[EMAIL_1] stands for another value") {
		t.Errorf("error %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "@") {
		t.Errorf("the error shows a value: %v", err)
	}
	wantRestored(t, v, "x", "[EMAIL_1]", "bob@example.com")
	if err := v.Keep("\xff", s); err == nil {
		t.Error("an ID that is not UTF-8 was kept")
	}
}

// tear leaves the beginning of a line, as a killed process does.
func tear(t *testing.T, dir, torn string) {
	t.Helper()
	for _, name := range []string{"vault.jsonl", "audit.jsonl"} {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(torn); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVaultAfterKill(t *testing.T) {
	dir := t.TempDir()
	r := newRedactor(t, redact.Options{})
	keep(t, openVault(t, dir), r, "x", "bob@example.com")
	for _, torn := range []string{`{"scope":"y","kind":"em`, strings.Repeat("z", 10_000)} {
		tear(t, dir, torn)
		v := openVault(t, dir)
		wantRestored(t, v, "x", "[EMAIL_1]", "bob@example.com")
		keep(t, v, r, "y"+torn[:2], "amy@example.org")
		tear(t, dir, torn) // another process, while this one goes on
		wantRestored(t, v, "x", "[EMAIL_1]", "bob@example.com")
		keep(t, v, r, "z"+torn[:2], "eve@example.org")
		wantRestored(t, v, "z"+torn[:2], "[EMAIL_1]", "eve@example.org")
		wantRestored(t, v, "y"+torn[:2], "[EMAIL_1]", "amy@example.org")
	}
	if n := len(readLines(t, filepath.Join(dir, "audit.jsonl"))); n != 5 {
		t.Errorf("%d audit lines, want 5", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "vault.jsonl"), []byte("{\"scope\":\"x\"}\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := redact.OpenVault(dir); err == nil || !strings.Contains(err.Error(), "vault.jsonl: byte 14: ") {
		t.Errorf("a damaged line: error %v", err)
	}
}

// keepMany keeps n scopes from many goroutines at once.
func keepMany(v *redact.Vault, r *redact.Redactor, name string, n int) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			s := r.Scope()
			s.Redact(fmt.Sprintf("%s.%d@example.com and amy@example.org", name, i))
			errs[i] = v.Keep(fmt.Sprintf("%s-%d", name, i), s)
			if errs[i] == nil { // what many keep at once is written once
				shared := r.Scope()
				shared.Redact(fmt.Sprintf("shared.%d@example.com", i/8))
				errs[i] = v.Keep(fmt.Sprint("shared-", i/8), shared)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const childEnv = "RETORT_REDACT_TEST_VAULT"

// TestVaultOfProcesses keeps from two processes and two vaults of one at once.
func TestVaultOfProcesses(t *testing.T) {
	const n = 64
	r := newRedactor(t, redact.Options{})
	if dir := os.Getenv(childEnv); dir != "" {
		if err := keepMany(openVault(t, dir), r, "child", n); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestVaultOfProcesses$")
	child.Env = append(os.Environ(), childEnv+"="+dir)
	var out strings.Builder
	child.Stdout, child.Stderr = &out, &out
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	a, b := openVault(t, dir), openVault(t, dir)
	var wg sync.WaitGroup
	for name, v := range map[string]*redact.Vault{"a": a, "b": b} {
		wg.Go(func() {
			if err := keepMany(v, r, name, n); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := child.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, name := range []string{"a", "b", "child"} {
		for i := range n {
			want := fmt.Sprintf("%s.%d@example.com amy@example.org", name, i)
			wantRestored(t, a, fmt.Sprintf("%s-%d", name, i), "[EMAIL_1] [EMAIL_2]", want)
		}
	}
	if got := len(readLines(t, filepath.Join(dir, "audit.jsonl"))); got != 6*n+n/8 {
		t.Errorf("%d audit lines, want %d", got, 6*n+n/8)
	}
}

func BenchmarkKeep64(b *testing.B) {
	v, r := openVault(b, b.TempDir()), newRedactor(b, redact.Options{})
	round := 0
	for b.Loop() {
		if err := keepMany(v, r, fmt.Sprint("r", round), 64); err != nil {
			b.Fatal(err)
		}
		round++
	}
	b.ReportMetric(float64(64*round)/b.Elapsed().Seconds(), "keeps/s")
}
