package refine_test

import (
	"math"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill/refine"
)

func answers(texts ...string) []refine.Answer {
	var a []refine.Answer
	for _, t := range texts {
		a = append(a, refine.Answer{Text: t, Finish: "stop"})
	}
	return a
}

// chosen writes a choice as "index text weight, …".
func chosen(c refine.Choice) string {
	var parts []string
	for _, x := range c.Chosen {
		parts = append(parts, strings.TrimSpace(strings.Join([]string{itoa(x.Index), x.Text, trim(x.Weight)}, " ")))
	}
	return strings.Join(parts, ", ")
}

func TestChoose(t *testing.T) {
	labels := []string{"yes", "no", "unsure"}
	digits := refine.Accept{Regex: `\d`}
	for _, c := range []struct {
		name      string
		choose    refine.Choose
		accept    refine.Accept
		answers   []string
		want      string
		agreement float64
		margin    float64
	}{
		{"first", refine.Choose{}, digits, []string{"x", "5", "6"}, "1 5 1", 0, 0},
		{"first of none", refine.Choose{}, digits, []string{"x", "y"}, "", 0, 0},
		{"no answers", refine.Choose{Method: "majority"}, refine.Accept{}, nil, "", 0, 0},
		{"all", refine.Choose{Method: "all"}, digits, []string{"x", "5", "6", "5"}, "1 5 1, 2 6 1, 3 5 1", 0, 0},
		{"majority", refine.Choose{Method: "majority"}, refine.Accept{}, []string{"Paris", "Rome", "  **paris**. ", "Oslo"}, "0 Paris 1", 0.5, 0.25},
		{"a tie goes to the first", refine.Choose{Method: "majority"}, refine.Accept{}, []string{"b", "a", "a", "b"}, "0 b 1", 0.5, 0},
		{"majority of numbers", refine.Choose{Method: "majority", Vote: "number"}, refine.Accept{}, []string{"it is 4", "2+3 = 5", "#### 5.0", "none", "The answer is 10/2"}, "1 2+3 = 5 1", 0.6, 0.4},
		{"nobody votes", refine.Choose{Method: "majority", Vote: "number"}, refine.Accept{}, []string{"none", "nothing"}, "", 0, 0},
		{"majority of JSON", refine.Choose{Method: "majority", Vote: "json"}, refine.Accept{}, []string{`{"a":1}`, `{"b":2,"a":[1.0]}`, "```json\n{\"a\": [1], \"b\": 2e0}\n```", `{"a":[1],`}, `1 {"b":2,"a":[1.0]} 1`, 0.5, 0.25},
		{"JSON strings are no numbers", refine.Choose{Method: "majority", Vote: "json"}, refine.Accept{}, []string{`1`, `"1"`, `1.0`}, `0 1 1`, 2.0 / 3, 1.0 / 3},
		{"majority of labels", refine.Choose{Method: "majority", Vote: "label"}, refine.Accept{}, []string{"No.", "YES", "no", "label: no"}, "0 No. 1", 0.75, 0.5},
		{"enough agreement", refine.Choose{Method: "majority", MinAgreement: 0.75}, refine.Accept{}, []string{"a", "a", "a", "b"}, "0 a 1", 0.75, 0.5},
		{"too little agreement", refine.Choose{Method: "majority", MinAgreement: 0.76}, refine.Accept{}, []string{"a", "a", "a", "b"}, "", 0.75, 0.5},
		{"rejected answers do not count", refine.Choose{Method: "majority", MinAgreement: 1}, digits, []string{"5", "x", "5"}, "0 5 1", 1, 1},
		{"distribution", refine.Choose{Method: "distribution"}, refine.Accept{}, []string{"b", "a", "B"}, "0 b 0.6667, 1 a 0.3333", 2.0 / 3, 1.0 / 3},
		{"distribution of labels", refine.Choose{Method: "distribution", Vote: "label", Smoothing: 1}, refine.Accept{Labels: labels}, []string{"No", "yes", "no.", "maybe"}, "0 no 0.5, 1 yes 0.3333, -1 unsure 0.1667", 2.0 / 3, 1.0 / 3},
		{"distribution of nothing", refine.Choose{Method: "distribution", Vote: "label", Smoothing: 1}, refine.Accept{Labels: labels}, []string{"maybe"}, "", 0, 0},
	} {
		checker, err := refine.NewChecker(c.accept, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		chooser, err := refine.NewChooser(c.choose, labels)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		choice, err := chooser.Choose(checker.Screen(answers(c.answers...), ""))
		if err != nil || chosen(choice) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, chosen(choice), err, c.want)
		}
		if !close(choice.Agreement, c.agreement) || !close(choice.Margin, c.margin) {
			t.Errorf("%s: agreement %v, margin %v, want %v and %v", c.name, choice.Agreement, choice.Margin, c.agreement, c.margin)
		}
		sum := 0.0
		for _, x := range choice.Chosen {
			sum += x.Weight
		}
		if c.choose.Method == "distribution" && len(choice.Chosen) > 0 && !close(sum, 1) {
			t.Errorf("%s: weights sum to %v", c.name, sum)
		}
	}
}

func TestChooseByJudge(t *testing.T) {
	chooser, err := refine.NewChooser(refine.Choose{Method: "judge"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var nobody *refine.Checker
	s := nobody.Screen(answers("a", "b"), "")
	if _, err := chooser.Choose(s); err == nil {
		t.Error("chosen without asking the judge")
	}
	if got := chosen(s.Pick(1, "the judge")); got != "1 b 1" {
		t.Error(got)
	}
}

func TestStatistics(t *testing.T) {
	checker, _ := refine.NewChecker(refine.Accept{Regex: `\d`, MinChars: 2}, nil)
	chooser, _ := refine.NewChooser(refine.Choose{Method: "majority"}, nil)
	var s refine.Statistics
	for _, texts := range [][]string{{"55", "55", "x", "66", "66", "55"}, {"x"}, {"77"}} {
		screened := checker.Screen(answers(texts...), "")
		choice, _ := chooser.Choose(screened)
		s.Add(screened, choice)
	}
	if s.Prompts != 3 || s.Unanswered != 1 || s.Answers != 8 || s.Accepted != 6 || s.Rejected.String() != "min_chars 2, regex 2" || s.Voted != 2 {
		t.Errorf("%+v", s)
	}
	if !close(s.Agreement(), (0.6+1)/2) {
		t.Errorf("agreement %v", s.Agreement())
	}
}

func TestChooseValidate(t *testing.T) {
	for _, c := range []struct {
		choose refine.Choose
		want   string
	}{
		{refine.Choose{}, ""},
		{refine.Choose{Method: "majority", Vote: "json", MinAgreement: 1}, ""},
		{refine.Choose{Method: "distribution", Vote: "label", Smoothing: 0.5}, ""},
		{refine.Choose{Method: "best"}, `method: "best": want first`},
		{refine.Choose{Vote: "text"}, "vote: only methods majority and distribution"},
		{refine.Choose{Method: "majority", Vote: "words"}, `vote: "words"`},
		{refine.Choose{Method: "majority", MinAgreement: 1.5}, "min_agreement: 1.5"},
		{refine.Choose{MinAgreement: 0.5}, "min_agreement: only method majority"},
		{refine.Choose{Method: "distribution", Smoothing: 1}, "smoothing: only"},
		{refine.Choose{Method: "distribution", Vote: "label", Smoothing: math.NaN()}, "smoothing: NaN"},
	} {
		err := c.choose.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v, want %q", c.choose, err, c.want)
		}
	}
	if _, err := refine.NewChooser(refine.Choose{Method: "majority", Vote: "label"}, nil); err == nil {
		t.Error("votes for labels without labels")
	}
}
