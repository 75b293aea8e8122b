package redact_test

import (
	"testing"

	"github.com/retort-ml/retort/internal/redact"
)

// TestContext has numbers that mean something only beside some words.
func TestContext(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	for _, c := range []struct{ text, want string }{
		{"phone 2125550123", "phone [PHONE_1]"},
		{"Bring your phone. 2125550123 is a large number.", ""},
		{"Bring your phone to order 2125550123.", ""},
		{"2125550123 (mobile)", "[PHONE_1] (mobile)"},
		{"order 2125550123 (mobile)", "order [PHONE_1] (mobile)"},
		{"call 06 12 34 56 78", "call [PHONE_1]"},
		{"bytes 06 12 34 56 78 ff 00", ""},
		{"bytes ff 06 12 34 56 78", ""},
		{"ssn 219099999", "ssn [NATIONAL_ID_1]"},
		{"tax 219099999", ""},
		{"version 10.1.2.3", ""},
		{"host 1.2.3.4, object 1.2.3.4, 8.8.8.8", "host [IP_1], object [IP_1], [IP_2]"},
		{"object 1.2.3.4", ""},
		{"password is: Tiger#42", "password is: [KEY_1]"},
		{"password: Tiger", ""},
		{"https://a:b@example.com and a:b@example.com", "https://[URL_CREDENTIALS_1]@example.com and a:[EMAIL_1]"},
		{"-----BEGIN PRIVATE KEY-----\nAA==", "[KEY_1]"},
		{"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY----- x", "[KEY_1] x"},
	} {
		if c.want == "" {
			c.want = c.text
		}
		if got := r.Scope().Redact(c.text); got != c.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}
