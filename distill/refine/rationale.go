package refine

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// What Rationale.Format may say.
const (
	RationaleMarkers = "markers" // "Reasoning: …" and "Answer: …"
	RationaleJSON    = "json"    // {"rationale": …, "answer": …}
)

// Rationale asks a teacher for its reasons with the answer, and makes a second
// target of them, as Distilling Step-by-Step does (Hsieh et al. 2023). The zero
// value is its setting, with words in brackets before the prompts.
type Rationale struct {
	Format string `yaml:"format"` // how the teacher is to reply: markers or json; "" means markers
	// Examples show the teacher what is meant; none means to tell it only.
	Examples []RationaleExample `yaml:"examples"`
	// AnswerPrefix and RationalePrefix stand before the prompt and tell the
	// student which target is wanted; "" means "[label] " and "[rationale] ".
	// The same prefix as for answers is needed when the student is used.
	AnswerPrefix    string `yaml:"answer_prefix"`
	RationalePrefix string `yaml:"rationale_prefix"`
	// Weight is that of a rationale's example, an answer's being 1 (the paper's
	// lambda, which it sets to 1); nil means 1, 0 leaves rationales out.
	Weight *float64 `yaml:"weight"`
}

// RationaleExample is a prompt as it should be answered.
type RationaleExample struct {
	Prompt    string `yaml:"prompt"`
	Rationale string `yaml:"rationale"`
	Answer    string `yaml:"answer"`
}

// WithDefaults fills in what is not set.
func (r Rationale) WithDefaults() Rationale {
	if r.Format == "" {
		r.Format = RationaleMarkers
	}
	if r.AnswerPrefix == "" {
		r.AnswerPrefix = "[label] "
	}
	if r.RationalePrefix == "" {
		r.RationalePrefix = "[rationale] "
	}
	if r.Weight == nil {
		r.Weight = new(1.0)
	}
	return r
}

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (r Rationale) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if r.Format != "" && r.Format != RationaleMarkers && r.Format != RationaleJSON {
		fault("format: %q: want %s or %s", r.Format, RationaleMarkers, RationaleJSON)
	}
	if r.Weight != nil && !(*r.Weight >= 0 && *r.Weight <= 100) {
		fault("weight: %v: want a number from 0 to 100", *r.Weight)
	}
	if d := r.WithDefaults(); d.AnswerPrefix == d.RationalePrefix {
		fault("rationale_prefix: %q: want another than answer_prefix", d.RationalePrefix)
	}
	for i, e := range r.Examples {
		if strings.TrimSpace(e.Prompt) == "" || strings.TrimSpace(e.Rationale) == "" || strings.TrimSpace(e.Answer) == "" {
			fault("examples: number %d: want a prompt, a rationale and an answer", i+1)
		}
	}
	return errors.Join(faults...)
}

// Prompt asks for the answer to a prompt with its reasons; Parse reads the reply.
func (r Rationale) Prompt(prompt string) string {
	r = r.WithDefaults()
	var s strings.Builder
	if r.Format == RationaleJSON {
		s.WriteString(`Answer the prompt, and give the reasons that lead to the answer first. Reply with one JSON object and nothing else: {"rationale": "<the reasons>", "answer": "<the answer alone>"}` + "\n\n")
	} else {
		s.WriteString("Answer the prompt, and give the reasons that lead to the answer first. Reply in this form:\nReasoning: <the reasons>\nAnswer: <the answer alone>\n\n")
	}
	for _, e := range r.Examples {
		fmt.Fprintf(&s, "Prompt: %s\n%s\n\n", e.Prompt, r.reply(e))
	}
	fmt.Fprintf(&s, "Prompt: %s\n", prompt)
	return s.String()
}

// reply is what a teacher should say.
func (r Rationale) reply(e RationaleExample) string {
	if r.Format == RationaleMarkers {
		return "Reasoning: " + e.Rationale + "\nAnswer: " + e.Answer
	}
	var s strings.Builder
	enc := json.NewEncoder(&s)
	enc.SetEscapeHTML(false)
	enc.Encode(struct { // two strings: it cannot fail
		Rationale string `json:"rationale"`
		Answer    string `json:"answer"`
	}{e.Rationale, e.Answer})
	return strings.TrimSpace(s.String())
}

// longestRationale is the longest reply that is read, in bytes.
const longestRationale = 1 << 20

var (
	reasonsMark = regexp.MustCompile(`(?im)^[ \t>]*[#*_]*[ \t]*(?:reasoning|rationale|reasons)[*_]*[ \t]*[:：][*_]*`)
	answerMark  = regexp.MustCompile(`(?im)^[ \t>]*[#*_]*[ \t]*(?:final )?answer[*_]*[ \t]*[:：][*_]*`)
)

// Parse takes a reply to Prompt apart. With markers, the answer is what follows
// the last line that begins with "Answer:", the rationale what stands before
// it, from "Reasoning:" on if that is there; with json they are those of the last
// object that has both. Emphasis around the markers does not count, nor does
// white space around the texts. One without text is an error.
func (r Rationale) Parse(reply string) (rationale, answer string, err error) {
	if len(reply) > longestRationale {
		return "", "", errors.New("longer than 1 MiB")
	}
	if r.WithDefaults().Format == RationaleJSON {
		rationale, answer, err = parseRationaleJSON(reply)
	} else {
		rationale, answer, err = parseRationaleMarkers(reply)
	}
	if err != nil {
		return "", "", err
	}
	rationale, answer = strings.TrimSpace(rationale), strings.TrimSpace(answer)
	switch {
	case rationale == "":
		return "", "", errors.New("no rationale before the answer")
	case answer == "":
		return "", "", errors.New("no answer after the rationale")
	}
	return rationale, answer, nil
}

func parseRationaleMarkers(reply string) (rationale, answer string, err error) {
	answers := answerMark.FindAllStringIndex(reply, -1)
	if len(answers) == 0 {
		return "", "", errors.New(`no line that begins with "Answer:"`)
	}
	at := answers[len(answers)-1]
	rationale, answer = reply[:at[0]], reply[at[1]:]
	if from := reasonsMark.FindStringIndex(rationale); from != nil {
		rationale = rationale[from[1]:]
	}
	return rationale, answer, nil
}

func parseRationaleJSON(reply string) (rationale, answer string, err error) {
	type object struct {
		Rationale *string         `json:"rationale"`
		Answer    json.RawMessage `json:"answer"`
	}
	v, ok := lastObject(reply, func(o object) bool {
		return o.Rationale != nil && o.Answer != nil && string(o.Answer) != "null"
	})
	if !ok {
		return "", "", errors.New("no JSON object with a rationale and an answer")
	}
	return *v.Rationale, scalar(v.Answer), nil
}

// Target is an example that is made of a reply.
type Target struct {
	Prompt, Response string
	Weight           float64
}

// Targets are the two examples of one prompt: its answer, and its rationale
// unless that weighs nothing.
func (r Rationale) Targets(prompt, rationale, answer string) []Target {
	r = r.WithDefaults()
	targets := []Target{{r.AnswerPrefix + prompt, answer, 1}}
	if *r.Weight > 0 {
		targets = append(targets, Target{r.RationalePrefix + prompt, rationale, *r.Weight})
	}
	return targets
}
