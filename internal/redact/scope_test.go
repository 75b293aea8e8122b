package redact_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/redact"
)

func newRedactor(t testing.TB, o redact.Options) *redact.Redactor {
	t.Helper()
	r, err := redact.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// every has each way of finding something.
var every = redact.Options{
	Patterns: map[string]string{"ticket": `ticket (T-\d+)`, "a_1": `Q+`},
	Words:    map[string][]string{"person": {"Ann Lee", "José", "山田太郎"}, "project": {"Blue Heron", "Ann"}},
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Write to bob@example.com or amy@example.org, bob@example.com.", "Write to [EMAIL_1] or [EMAIL_2], [EMAIL_1]."},
		{"about ticket T-12 and T-13", "about ticket [TICKET_1] and T-13"},
		{"ANN  LEE, ann and Annette on blue\nheron", "[PERSON_1], [PROJECT_1] and Annette on [PROJECT_2]"},
		{"JOSÉ, Joséphine; 山田太郎さん", "[PERSON_1], Joséphine; [PERSON_2]さん"},
		{"as [EMAIL_1] and bob@example.com say", "as [LITERAL_1] and [EMAIL_1] say"},
		{`as \[email\_1\] and [LITERAL_1], [Note_1]`, "as [LITERAL_1] and [LITERAL_2], [Note_1]"},
		{"tel ４１１１ １１１１ １１１１ １１１１!", "tel [CARD_1]!"},
		{"", ""},
	} {
		r := newRedactor(t, every)
		s := r.Scope()
		got := s.Redact(c.text)
		if got != c.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", c.text, got, c.want)
		}
		if back := s.Restore(got); back != c.text {
			t.Errorf("Restore(%q)\n got %q\nwant %q", got, back, c.text)
		}
	}
}

func TestRestoreWhatModelsWrite(t *testing.T) {
	s := newRedactor(t, redact.Options{}).Scope()
	s.Redact("bob@example.com 4111 1111 1111 1111")
	for answer, want := range map[string]string{
		`Dear [email_1],`:                  "Dear bob@example.com,",
		`\[EMAIL\_1\] and [EMAIL\_1]`:      "bob@example.com and bob@example.com",
		`**[Card 1]**, [CARD-1]`:           "**4111 1111 1111 1111**, 4111 1111 1111 1111",
		`[[EMAIL_1]](mailto:[EMAIL_1])`:    "[bob@example.com](mailto:bob@example.com)",
		`[EMAIL_2] [EMAIL_01] [EMAIL_] [E`: `[EMAIL_2] [EMAIL_01] [EMAIL_] [E`,
		`\[EMAIL_1] [EMAIL_1\]`:            `\bob@example.com [EMAIL_1\]`,
	} {
		if got := s.Restore(answer); got != want {
			t.Errorf("Restore(%q) = %q, want %q", answer, got, want)
		}
	}
}

func TestFindings(t *testing.T) {
	s := newRedactor(t, redact.Options{}).Scope()
	s.Redact("é bob@example.com [ip_3]") // what looks like a placeholder is no finding
	if _, err := s.RedactJSON(`{"a/b":[0,"x\u0020bob@example.com"],"amy@example.org":1}`); err != nil {
		t.Fatal(err)
	}
	want := []redact.Finding{
		{Kind: "email", Placeholder: "[EMAIL_1]", Text: 0, Offset: 3, Length: 15},
		{Kind: "email", Placeholder: "[EMAIL_1]", Text: 1, Field: "/a~1b/1", Offset: 2, Length: 15},
		{Kind: "email", Placeholder: "[EMAIL_2]", Text: 1, Field: "/amy@example.org", Key: true, Length: 15},
	}
	// The pointer of a key must not show the key.
	want[2].Field = "/[EMAIL_2]"
	if got := s.Findings(); !reflect.DeepEqual(got, want) {
		t.Errorf("findings\n got %+v\nwant %+v", got, want)
	}
	if got := s.Counts(); !reflect.DeepEqual(got, map[string]int{"email": 3}) {
		t.Errorf("counts %v", got)
	}
}

func TestRedactJSON(t *testing.T) {
	s := newRedactor(t, every).Scope()
	const text = ` {"messages": [{"role":"user","content":"I am bob@example.com\nQQ \"A\u006en Lee\""}],
	"n":1e3 , "password":"correct horse", "ssn":["219099999"], "x":"{\"pwd\":\"hunter22\"}", "Ann":"\ud83d\ude00 \ud800", "pwd":"a\\b\"c\nd\u00071"}`
	const want = ` {"messages": [{"role":"user","content":"I am [EMAIL_1]\n[A_1_1] \"[PERSON_1]\""}],
	"n":1e3 , "password":"[KEY_1]", "ssn":["[NATIONAL_ID_1]"], "x":"{\"pwd\":\"[KEY_2]\"}", "[PROJECT_1]":"\ud83d\ude00 \ud800", "pwd":"[KEY_3]"}`
	got, err := s.RedactJSON(text)
	if err != nil || got != want {
		t.Errorf("RedactJSON: %v\n got %s\nwant %s", err, got, want)
	}
	back, err := s.RestoreJSON(got)
	if err != nil || !equalJSON(t, back, text) {
		t.Errorf("RestoreJSON: %v\n got %s\nwant %s", err, back, text)
	}
	for _, bad := range []string{"", "{", `{"a":"b"} x`, "\"\x01\""} {
		if _, err := s.RedactJSON(bad); err == nil || !strings.HasPrefix(err.Error(), "redact JSON: ") {
			t.Errorf("RedactJSON(%q): error %v", bad, err)
		}
		if _, err := s.RestoreJSON(bad); err == nil {
			t.Errorf("RestoreJSON(%q): no error", bad)
		}
	}
}

func equalJSON(t testing.TB, a, b string) bool {
	t.Helper()
	return reflect.DeepEqual(decodeJSON(t, a), decodeJSON(t, b))
}

func decodeJSON(t testing.TB, text string) (x any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return x
}

func FuzzRedact(f *testing.F) {
	f.Add(`\[EMAIL\_1\] bob@example.com [card 1] ４１１１ １１１１ １１１１ １１１１`)
	f.Add("password=\"a b c d e\" \\bob@example.com\\]")
	f.Add("+49 30 901820 ::1 fe80::1%eth0 -----BEGIN PRIVATE KEY-----\nAAAA")
	r := newRedactor(f, every)
	f.Fuzz(func(t *testing.T, text string) {
		s := r.Scope()
		other := s.Redact("amy@example.org " + text)
		redacted := s.Redact(text)
		if got := s.Restore(redacted); got != text {
			t.Fatalf("text %q\nredacted %q\nrestored %q", text, redacted, got)
		}
		if got := s.Restore(other); got != "amy@example.org "+text {
			t.Fatalf("text %q\nredacted %q\nrestored %q", text, other, got)
		}
	})
}

func FuzzRedactJSON(f *testing.F) {
	f.Add(`{"a":["bob@example.com","\[EMAIL_1\\]"],"pass\u0077ord":"abcd\"efgh1"}`)
	f.Add(`"\ud800\u0041nn [A_1_1] 4111\u00201111 1111 1111"`)
	r := newRedactor(f, every)
	f.Fuzz(func(t *testing.T, text string) {
		s := r.Scope()
		redacted, err := s.RedactJSON(text)
		if valid := json.Valid([]byte(text)); valid != (err == nil) {
			t.Fatalf("valid %t, error %v", valid, err)
		}
		if err != nil {
			return
		}
		restored, err := s.RestoreJSON(redacted)
		if err != nil || !equalJSON(t, restored, text) {
			t.Fatalf("%v: text %q\nredacted %q\nrestored %q", err, text, redacted, restored)
		}
	})
}

func TestTheProtocolsNamesStay(t *testing.T) {
	r := newRedactor(t, redact.Options{Words: map[string][]string{"customer": {"User", "Text", "Function", "Smith"}}})
	in := `[{"role": "user", "content": [{"type": "text", "text": "I am the user Smith"}]}, {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "find", "arguments": "{\"smith\": 1}"}}]}]`
	got, err := r.Scope().RedactJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"role": "user"`, `"type": "text", "text": "I am the [CUSTOMER_1] [CUSTOMER_2]"`, `"type": "function", "function": {"name"`, `{\"[CUSTOMER_`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	deep := strings.Repeat("[", 1000) + `"x"` + strings.Repeat("]", 1000)
	if _, err := r.Scope().RedactJSON(deep); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("JSON of a thousand levels: %v", err)
	}
}

func TestAddressesInLogs(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	if got := r.Scope().Redact("kernel: DROP SRC=203.0.113.7 DST=198.51.100.4"); strings.Contains(got, "203.0") || strings.Contains(got, "198.51") {
		t.Error(got)
	}
	if got := r.Scope().Redact("firmware 12.13.14.15"); strings.Contains(got, "[IP") {
		t.Error(got)
	}
}
