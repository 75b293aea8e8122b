package refine_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill/refine"
)

// huge are texts of n bytes that cost too much if something is quadratic, or if
// memory follows a number's value or a value's depth.
func huge(n int) map[string]string {
	var objects, strs strings.Builder
	for i := range n / 16 {
		fmt.Fprintf(&objects, `{"id":%d},`, i)
		fmt.Fprintf(&strs, `"s%d",`, i)
	}
	return map[string]string{
		"open objects":   strings.Repeat(`{"a":`, n/5),
		"open braces":    strings.Repeat("{", n),
		"open lists":     strings.Repeat("[", n),
		"open strings":   strings.Repeat(`{"`, n/2),
		"deep list":      strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"too deep":       strings.Repeat("[", n/2) + strings.Repeat("]", n/2),
		"many objects":   "[" + objects.String()[:objects.Len()-1] + "]",
		"many strings":   "[" + strs.String()[:strs.Len()-1] + "]",
		"fences":         strings.Repeat("```", n/3),
		"backquotes":     strings.Repeat("`a", n/2),
		"spaces":         strings.Repeat(" ", n),
		"lines":          strings.Repeat("\n", n),
		"answers":        strings.Repeat("Answer:\n", n/8),
		"one word":       strings.Repeat("a", n),
		"one long label": strings.Repeat("'", n),
		"no text":        strings.Repeat("\xff", n),
		"numbered":       strings.Repeat("1. what is it\n", n/14),
		"marks":          "e" + strings.Repeat("\u0301", n/2),
		"quotes":         strings.Repeat(`winner: "`, n/9),
	}
}

func TestHugeTexts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	n := 1 << 16
	if os.Getenv("RETORT_TEST_HUGE") != "" {
		n = 1 << 20
	}
	checker, err := refine.NewChecker(refine.Accept{Regex: "(a|aa)+$", NotRegex: "(x+x+)+y", Schema: "s", Numeric: &refine.Numeric{}, Labels: []string{"refund"},
		MinChars: 1, MaxChars: 10, Languages: []string{"en"}, NoRefusals: true}, []byte(`{"type":"array","uniqueItems":true,"items":{"$ref":"#/$defs/any"},"$defs":{"any":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/any"}},{"type":["object","string"]}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	chooser, _ := refine.NewChooser(refine.Choose{Method: "majority", Vote: "json"}, nil)
	texts, _ := refine.NewChooser(refine.Choose{Method: "majority"}, nil)
	var anybody *refine.Checker
	for name, text := range huge(n) {
		synthesis, err := refine.NewSynthesizer(refine.Synthesis{Target: 50}, seeds())
		if err != nil {
			t.Fatal(err)
		}
		ask := synthesis.Round(rand.New(rand.NewPCG(1, 1)), 1)[0]
		all := anybody.Screen(answers(text, text), "")
		for step, f := range map[string]func(){
			"check":        func() { checker.Check(text, "#### 5", "stop") },
			"pair":         func() { refine.ParsePair(text) },
			"score":        func() { refine.Judge{Mode: "score"}.ParseScore(text) },
			"prompt":       func() { refine.Judge{}.PairPrompt("p", "", text, text) },
			"markers":      func() { refine.Rationale{}.Parse(text) },
			"JSON":         func() { refine.Rationale{Format: "json"}.Parse(text) },
			"synthesis":    func() { synthesis.Add(ask, "", text) },
			"vote by JSON": func() { chooser.Choose(all) },
			"vote by text": func() { texts.Choose(all) },
		} {
			start := time.Now()
			f()
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("%s, %s: %v", name, step, d)
			}
		}
	}
}
