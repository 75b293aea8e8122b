package redact_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/redact"
)

const prose = `Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many
clips did Natalia sell altogether? Please write to ann.lee@example.com or call (212) 555-0123 before 12:30 on 2024-05-01;
the server 10.1.2.3 (v1.2.3) costs $1,299.00 and "order": 1234567890. Le café est ouvert — до свидания, 请联系我们。
`

func BenchmarkRedact(b *testing.B) {
	text := strings.Repeat(prose, 1<<20/len(prose))
	for name, o := range map[string]redact.Options{"builtin": {}, "words": {Words: manyWords(100_000)}} {
		b.Run(name, func(b *testing.B) {
			r := newRedactor(b, o)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.Scope().Redact(text)
			}
		})
	}
}

func manyWords(n int) map[string][]string {
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("Name%d Family%d", i%1000, i/1000)
	}
	return map[string][]string{"person": words}
}

func TestManyWords(t *testing.T) {
	start := time.Now()
	r := newRedactor(t, redact.Options{Words: manyWords(100_000)})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("New took %v", took)
	}
	got := r.Scope().Redact("name7 FAMILY99 and Name7 Family100")
	if got != "[PERSON_1] and Name7 Family100" {
		t.Errorf("got %q", got)
	}
}

// TestHostile wants that half a megabyte of anything takes less than a second or so,
// which nothing quadratic does.
func TestHostile(t *testing.T) {
	hostileBytes := 512 << 10
	if testing.Short() {
		hostileBytes = 32 << 10
	}
	r := newRedactor(t, redact.Options{Words: map[string][]string{"w": {strings.Repeat("a ", 400) + "b", strings.Repeat("x", 900)}}})
	for _, unit := range []string{"1", "1 ", "12-", "1234 ", "4111 1111 1111 111", "+", "+1", "+49", "00", "(0", "(212) ", "@", "a@", "a@b.", "a.", ".",
		":", "::", "a:", "1:", "ab:cd:", "://", "://a", "://a:", "a", "a ", "x", "password=", "password: \"", "password=\\\"", "=", "sk-", "sk-a1", "sk-sk-1", "eyJ", "eyJ.", "eyJ-",
		"-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----BEGIN A PRIVATE KEY-----", "-", "[", "[EMAIL_", `\[EMAIL\_1`, "GB82", "DE89 3704 0044 0532 0130 00", "é", "你", "你1", "１", "\u200b1", "\xff", "bearer ", "bearer a",
		"1.2.3.4", "1.", "ssn 1", "phone 555 ", "AB 12 34 56 ", "a_", "A1", "0 ", "secret_", "secret ", "token token:", "\u2011"} {
		text := strings.Repeat(unit, hostileBytes/len(unit))
		start := time.Now()
		s := r.Scope()
		redacted := s.Redact(text)
		took := time.Since(start)
		if testing.Verbose() && took > 50*time.Millisecond {
			t.Logf("%q: %v", unit, took)
		}
		if took > 4*time.Second {
			t.Errorf("%q: %v", unit, took)
		}
		if s.Restore(redacted) != text {
			t.Errorf("%q: restored another text", unit)
		}
	}
}
