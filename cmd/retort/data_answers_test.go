package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"

	"github.com/urfave/cli/v2"
)

const nasty = "a\x1b[31m\x00\u009b\u202e\xff\nb"

// answersStore is a directory with a store of four answers and an account.
func answersStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := distill.OpenStore(t.Context(), filepath.Join(dir, "answers.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, finish := range []string{"stop", "refusal", "length", "stop"} {
		r := distill.Request{Prompt: fmt.Sprintf("question %d %s", i, nasty)}
		a := distill.Answer{Text: fmt.Sprint("answer ", i, nasty), Finish: finish, Model: fmt.Sprint("model-", i%2), Cost: distill.USD(0.01), Raw: []byte(`{"id":"` + nasty + `"}`),
			Usage: distill.Usage{PromptTokens: 3, AnswerTokens: 1}, Pieces: []distill.Piece{{Bytes: []byte("x"), LogProb: -0.5, Top: []distill.Alternative{{Bytes: []byte("x"), LogProb: -0.5}}}}}
		if _, err := s.Put(t.Context(), "https://example.org/v1", r, a); err != nil {
			t.Fatal(err)
		}
	}
	l, err := s.Ledger("main"+nasty, distill.Dollar)
	if err == nil {
		_, err = l.Reserve(t.Context(), distill.USD(0.25))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// answers runs the command alone.
func answers(args ...string) (out string, err error) {
	var b bytes.Buffer
	s := streams{out: &b, err: &b}
	app := &cli.App{Name: "retort", Writer: &b, ErrWriter: &b, Commands: []*cli.Command{dataAnswersCommand(s)}, ExitErrHandler: func(*cli.Context, error) {}, OnUsageError: onUsageError}
	err = app.RunContext(context.Background(), flagsFirst(app, append([]string{"retort", "answers"}, args...)))
	return b.String(), err
}

func TestDataAnswers(t *testing.T) {
	dir := answersStore(t)
	key := distill.Request{Prompt: "question 2 " + nasty}.Key("https://example.org/v1").String()
	for _, c := range []struct {
		args string
		want []string
		not  []string
	}{
		{"", []string{"question 0", "answer 3", "model-1", "refusal, 3+1 tokens, $0.0100"}, nil},
		{"--finish refusal", []string{"answer 1"}, []string{"answer 0"}},
		{"--model l-0", []string{"answer 0", "answer 2"}, []string{"answer 1"}},
		{"--teacher example --contains 3a", []string{"answer 3"}, []string{"answer 1"}},
		{"--teacher nobody", []string{"no answers"}, []string{"answer 1"}},
		{"--limit 2", []string{"answer 1"}, []string{"answer 2"}},
		{"--since 1h", []string{"answer 1"}, nil},
		{"--since 2100-01-01", []string{"no answers"}, []string{"answer 1"}},
		{"--key " + key[:6], []string{key, "question 2", `raw           {"id":"a\x1b[31m`, "max_tokens 256"}, []string{"answer 1"}},
		{"--spend", []string{"$0.25", "main"}, nil},
		{"--release main" + nasty[:1], []string{"$0.00 freed"}, nil},
	} {
		out, err := answers(append(strings.Fields(c.args), dir)...)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", c.args, want, out)
			}
		}
		for _, not := range c.not {
			if strings.Contains(out, not) {
				t.Errorf("%s: %q in\n%s", c.args, not, out)
			}
		}
		noControls(t, c.args, out)
	}
}

func noControls(t *testing.T, what, out string) {
	t.Helper()
	for _, r := range out {
		if r != '\n' && !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			t.Errorf("%s prints %q", what, r)
		}
	}
}

func TestDataAnswersJSON(t *testing.T) {
	out, err := answers("--json", "--limit", "1", answersStore(t))
	var v shown
	if err == nil {
		err = json.Unmarshal([]byte(out), &v)
	}
	if err != nil || v.Prompt != strings.ToValidUTF8("question 0 "+nasty, "\uFFFD") || v.CostUSD != 0.01 || v.Raw != "" {
		t.Errorf("%+v, error %v", v, err)
	}
	for _, r := range strings.ReplaceAll(out, "\uFFFD", "") {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("it prints %q", r)
		}
	}
}

func TestDataAnswersExport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.parquet")
	if out, err := answers("--export", path, "--finish", "stop", answersStore(t)); err != nil || !strings.Contains(out, "2 answers written") {
		t.Fatalf("%q, %v", out, err)
	}
	type row struct {
		Hash string    `parquet:"request_hash"`
		Text string    `parquet:"text"`
		Cost float64   `parquet:"cost_usd"`
		Logs []float32 `parquet:"token_logprob,list"`
		Raw  []byte    `parquet:"raw_response_zstd"`
	}
	rows, err := datasets.ReadParquet[row](path)
	if err != nil || len(rows) != 2 || rows[1].Text != "answer 3"+nasty || rows[0].Cost != 0.01 || len(rows[0].Logs) != 1 || len(rows[0].Raw) == 0 || len(rows[0].Hash) != 64 {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestDataAnswersRefuses(t *testing.T) {
	dir := answersStore(t)
	for args, want := range map[string]string{
		"--since yesterday " + dir:                 "--since \"yesterday\"",
		"--limit -1 " + dir:                        "--limit -1",
		"--spend --key ab " + dir:                  "exclude each other",
		"--key xyz " + dir:                         "hexadecimal",
		"--key 0123456789abcdef " + dir:            "no answer",
		filepath.Join(dir, "none.db"):              "no such file",
		t.TempDir():                                "no such file",
		dir + " " + dir:                            "want one STORE",
		"--export " + dir + "/no/o.parquet " + dir: "no such file",
	} {
		if out, err := answers(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, error %v, want %q", args, out, err, want)
		}
	}
}
