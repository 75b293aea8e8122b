package refine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill/refine"
)

func TestParseRationale(t *testing.T) {
	for _, c := range []struct {
		name, format, reply string
		rationale, answer   string
		err                 string
	}{
		{"as asked", "", "Reasoning: 2 and 3 make 5.\nAnswer: 5", "2 and 3 make 5.", "5", ""},
		{"emphasis", "", "**Reasoning:** First,\n\nadd them.\n\n**Answer:** 5 apples\n", "First,\n\nadd them.", "5 apples", ""},
		{"headings", "markers", "### Reasoning:\nAdd.\n### Final Answer:\n5", "Add.", "5", ""},
		{"emphasis inside", "", "*Rationale*: Add.\n*Answer*: 5", "Add.", "5", ""},
		{"no first marker", "", "Add them.\nAnswer: 5", "Add them.", "5", ""},
		{"chatter before", "", "Sure!\nReasoning: Add.\nAnswer: 5", "Add.", "5", ""},
		{"an answer of several lines", "", "Reasoning: Write it.\nAnswer: line 1\nline 2", "Write it.", "line 1\nline 2", ""},
		{"the last answer counts", "", "Reasoning: Maybe\nAnswer: 4\nNo.\nAnswer: 5", "Maybe\nAnswer: 4\nNo.", "5", ""},
		{"no answer", "", "Reasoning: Add.", "", "", `no line that begins with "Answer:"`},
		{"within a line", "", "Reasoning: the answer: 5", "", "", "no line"},
		{"empty answer", "", "Reasoning: Add.\nAnswer: ", "", "", "no answer after"},
		{"no reasons", "", "Answer: 5", "", "", "no rationale before"},
		{"empty", "", "", "", "", "no line"},
		{"JSON", "json", `{"rationale": "Add.", "answer": "5"}`, "Add.", "5", ""},
		{"JSON in a fence", "json", "Here:\n```json\n{\"rationale\": \"Use {a}.\", \"answer\": 5}\n```\nDone.", "Use {a}.", "5", ""},
		{"JSON, no text", "json", `{"rationale": "Add.", "answer": {"sum": 5}}`, "Add.", `{"sum": 5}`, ""},
		{"JSON without answer", "json", `{"rationale": "Add."}`, "", "", "no JSON object"},
		{"JSON null", "json", `{"rationale": "Add.", "answer": null}`, "", "", "no JSON object"},
		{"JSON, cut", "json", `{"rationale": "Add.", "answer": "5`, "", "", "no JSON object"},
		{"JSON, no rationale", "json", `{"rationale": " ", "answer": "5"}`, "", "", "no rationale"},
		{"huge", "", strings.Repeat("x", 1<<20+1), "", "", "longer than 1 MiB"},
	} {
		rationale, answer, err := refine.Rationale{Format: c.format}.Parse(c.reply)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.err)
			}
		} else if err != nil || rationale != c.rationale || answer != c.answer {
			t.Errorf("%s: %q, %q, %v", c.name, rationale, answer, err)
		}
	}
}

func TestRationalePrompt(t *testing.T) {
	shown := refine.RationaleExample{Prompt: "1+1?", Rationale: "One and one \"is\" <two>.", Answer: "2"}
	for _, format := range []string{"markers", "json"} {
		r := refine.Rationale{Format: format, Examples: []refine.RationaleExample{shown}}
		text := r.Prompt("2+3?")
		before, reply, ok := strings.Cut(text, "Prompt: 1+1?\n")
		if !ok || !strings.HasSuffix(text, "Prompt: 2+3?\n") {
			t.Fatalf("%s: %q", format, text)
		}
		// What the teacher is shown is what Parse reads.
		reply, _, _ = strings.Cut(reply, "\n\nPrompt:")
		rationale, answer, err := r.Parse(reply)
		if err != nil || rationale != shown.Rationale || answer != shown.Answer {
			t.Errorf("%s: %q, %q, %v of %q", format, rationale, answer, err, reply)
		}
		if format == "json" && !strings.Contains(before, `"rationale"`) || format == "markers" && !strings.Contains(before, "Answer:") {
			t.Errorf("%s: %q", format, before)
		}
	}
}

func TestRationaleTargets(t *testing.T) {
	got := refine.Rationale{}.Targets("2+3?", "Add.", "5")
	if !slices.Equal(got, []refine.Target{{Prompt: "[label] 2+3?", Response: "5", Weight: 1}, {Prompt: "[rationale] 2+3?", Response: "Add.", Weight: 1}}) {
		t.Errorf("%+v", got)
	}
	got = refine.Rationale{AnswerPrefix: "A: ", RationalePrefix: "R: ", Weight: new(0.5)}.Targets("p", "r", "a")
	if !slices.Equal(got, []refine.Target{{Prompt: "A: p", Response: "a", Weight: 1}, {Prompt: "R: p", Response: "r", Weight: 0.5}}) {
		t.Errorf("%+v", got)
	}
	if got = (refine.Rationale{Weight: new(0.0)}).Targets("p", "r", "a"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestRationaleValidate(t *testing.T) {
	for _, c := range []struct {
		r    refine.Rationale
		want string
	}{
		{refine.Rationale{}, ""},
		{refine.Rationale{Format: "xml"}, `format: "xml"`},
		{refine.Rationale{Weight: new(-1.0)}, "weight: -1"},
		{refine.Rationale{AnswerPrefix: "[rationale] "}, "rationale_prefix"},
		{refine.Rationale{Examples: []refine.RationaleExample{{Prompt: "p", Rationale: "r"}}}, "examples: number 1"},
	} {
		err := c.r.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v, want %q", c.r, err, c.want)
		}
	}
}

func FuzzRationale(f *testing.F) {
	f.Add("Add <them>.", "5")
	f.Add("\"quoted\"", "{}")
	f.Fuzz(func(t *testing.T, rationale, answer string) {
		refine.Rationale{}.Parse(rationale + answer)
		reply, err := json.Marshal(map[string]string{"rationale": rationale, "answer": answer})
		if err != nil {
			t.Fatal(err)
		}
		r, a, err := refine.Rationale{Format: "json"}.Parse("so:\n" + string(reply))
		clean := func(s string) string { return strings.TrimSpace(strings.ToValidUTF8(s, "�")) }
		if err == nil && (a != clean(a) || r != clean(r)) || err != nil && clean(rationale) != "" && clean(answer) != "" {
			t.Fatalf("%q: %q, %q, %v", reply, r, a, err)
		}
	})
}
