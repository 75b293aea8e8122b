package chat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/chat/jinja"
)

// Turns says which assistant turns are learned.
type Turns int

const (
	AllTurns Turns = iota // every message of the role assistant
	LastTurn              // the last of them
)

// LearnOptions control [Template.Learned].
type LearnOptions struct {
	Turns Turns
	// EndTokens are texts that may end a turn, as the tokenizer has them, beside
	// the template's own special tokens.
	EndTokens []string
}

// Span is the bytes [Start, End) of a rendered text that are learned of one
// message; Message is its index, -1 where a template writes several generation
// blocks to a message.
type Span struct{ Start, End, Message int }

// Conversation is a rendered text and what is learned of it.
type Conversation struct {
	Text  string
	Spans []Span // in order, apart from each other
}

// Learned renders the messages and finds what an assistant wrote of it, each turn
// with its end-of-turn token and without what follows that. A template with
// {% generation %} blocks says so itself; of another, a turn is what one more
// message adds to the text with the generation prompt, which is an error naming
// the message where the template writes earlier turns otherwise once later
// ones follow. A turn without an end-of-turn token is an error too: a student
// would never learn to stop.
func (t *Template) Learned(req Request, o LearnOptions) (*Conversation, error) {
	var turns []int
	for i, m := range req.Messages {
		if m.Role() == "assistant" || m.Role() == "model" {
			turns = append(turns, i)
		}
	}
	if len(turns) == 0 {
		return nil, fmt.Errorf("chat template: the conversation has no assistant message to learn")
	}
	full, err := t.render(req, req.Messages, req.AddGenerationPrompt)
	if err != nil {
		return nil, err
	}
	ends := t.ends(o.EndTokens)
	c := &Conversation{Text: full.Text}
	if t.parsed.Generates() {
		c.Spans, err = ends.generated(full, turns, o.Turns)
		return c, err
	}
	if o.Turns == LastTurn {
		turns = turns[len(turns)-1:]
	}
	for _, i := range turns {
		s, err := t.turn(req, full.Text, i, ends)
		if err != nil {
			return nil, err
		}
		c.Spans = append(c.Spans, s)
	}
	return c, nil
}

// turn finds message i by rendering the messages before it, and up to it.
func (t *Template) turn(req Request, full string, i int, ends endTokens) (Span, error) {
	before, err := t.render(req, req.Messages[:i], true)
	if err != nil {
		return Span{}, fmt.Errorf("message %d: rendering what comes before it: %w", i, err)
	}
	upTo, err := t.render(req, req.Messages[:i+1], false)
	if err != nil {
		return Span{}, fmt.Errorf("message %d: rendering up to it: %w", i, err)
	}
	start, text := len(before.Text), upTo.Text
	if !strings.HasPrefix(full, before.Text) || !strings.HasPrefix(text, before.Text) {
		return Span{}, broken(i, before.Text, full)
	}
	end, ok := ends.last(text[start:])
	asked, err := t.render(req, req.Messages[:i+1], true)
	if err == nil && asked.Text == text {
		// The template ends every text with its generation prompt, or knows none.
		if n := ends.beforePrompt(text[start:], before.Text); n > 0 {
			end, ok = n, true
		}
	}
	if !ok {
		return Span{}, fmt.Errorf("message %d: no end-of-turn token after it in %q", i, tail(text))
	}
	// Beyond the end-of-turn token a template may write otherwise when it is at
	// the end, and nothing of that is learned.
	if !strings.HasPrefix(full, text[:start+end]) {
		return Span{}, broken(i, text, full)
	}
	return Span{start, start + end, i}, nil
}

func broken(i int, part, full string) error {
	n := 0
	for n < min(len(part), len(full)) && part[n] == full[n] {
		n++
	}
	return fmt.Errorf("message %d: the template does not preserve prefixes: at byte %d it writes %q, but %q in the whole conversation; "+
		"learn the last turn alone, or use a template with {%% generation %%}", i, n, head(part[n:]), head(full[n:]))
}

func head(s string) string { return strings.ToValidUTF8(s[:min(len(s), 40)], "") }
func tail(s string) string { return strings.ToValidUTF8(s[max(0, len(s)-40):], "") }

// endTokens are the texts that may end a turn, eos first.
type endTokens struct {
	eos   string
	texts []string
}

func (t *Template) ends(more []string) endTokens {
	e := endTokens{eos: t.Special("eos_token"), texts: slices.Clone(more)}
	t.tokens.Each(func(name string, v jinja.Value) {
		if s, ok := v.(string); ok && name != "bos_token" {
			e.texts = append(e.texts, s)
		}
		if l, ok := v.(*jinja.List); ok {
			for _, v := range l.Items {
				if s, ok := v.(string); ok {
					e.texts = append(e.texts, s)
				}
			}
		}
	})
	return e
}

// markerEnd is the shape of control tokens that no list names.
var (
	markerEnd   = regexp.MustCompile(`(?:<[|｜][^<>\s]{1,40}[|｜]>|<(?:end|eos|/s)[^<>\s]{0,30}>)$`)
	markerStart = regexp.MustCompile(`^(?:<[|｜][^<>\s]{1,40}[|｜]>|<(?:end|eos|/s)[^<>\s]{0,30}>)`)
)

// suffix is the length of the end-of-turn token that s ends with, or 0.
func (e endTokens) suffix(s string) int {
	n := len(markerEnd.FindString(s[max(0, len(s)-200):]))
	for _, end := range e.texts {
		if end != "" && strings.HasSuffix(s, end) {
			n = max(n, len(end))
		}
	}
	return n
}

// prefix is the length of the end-of-turn token that s begins with, or 0.
func (e endTokens) prefix(s string) int {
	n := len(markerStart.FindString(s[:min(len(s), 200)]))
	for _, end := range e.texts {
		if end != "" && strings.HasPrefix(s, end) {
			n = max(n, len(end))
		}
	}
	return n
}

// last is where the turn's end-of-turn token ends in its text. A template that
// closes the whole conversation with one more token, after that of the turn,
// closes no turn with it.
func (e endTokens) last(turn string) (int, bool) {
	s := strings.TrimSpace(turn)
	s = turn[:strings.Index(turn, s)+len(s)]
	n := e.suffix(s)
	if n == 0 {
		return 0, false
	}
	if e.eos != "" && strings.HasSuffix(s, e.eos) {
		inner := strings.TrimRight(strings.TrimSuffix(s, e.eos), " \n\t\r")
		if e.suffix(inner) > 0 {
			return len(inner), true
		}
	}
	return len(s), true
}

// beforePrompt is where the end-of-turn token stands in a turn that an unasked
// generation prompt follows, which then ends the text before the turn too; 0 if
// the two have no such end in common.
func (e endTokens) beforePrompt(turn, before string) int {
	n := 0
	for n < min(len(turn), len(before)) && turn[len(turn)-1-n] == before[len(before)-1-n] {
		n++
	}
	for i := len(turn) - n; i < len(turn); i++ {
		if k := e.prefix(turn[i:]); k > 0 {
			return i + k
		}
	}
	return 0
}

// generated takes the spans of generation blocks, each extended or cut to its
// end-of-turn token.
func (e endTokens) generated(full *jinja.Result, turns []int, which Turns) ([]Span, error) {
	if full.Unplaced {
		return nil, fmt.Errorf("chat template: a generation block stands inside a macro, call, set or filter block, where it has no place in the text")
	}
	matched := len(full.Generations) == len(turns)
	if !matched && (which == LastTurn || len(full.Generations) == 0) {
		return nil, fmt.Errorf("chat template: %d generation blocks were written for %d assistant messages", len(full.Generations), len(turns))
	}
	var out []Span
	for k, g := range full.Generations {
		if which == LastTurn && k < len(turns)-1 {
			continue
		}
		s := Span{g.Start, g.End, -1}
		if matched {
			s.Message = turns[k]
		}
		next := len(full.Text)
		if k+1 < len(full.Generations) {
			next = full.Generations[k+1].Start
		}
		if end, ok := e.last(full.Text[g.Start:g.End]); ok {
			s.End = g.Start + end
		} else if n := e.prefix(full.Text[g.End:next]); n > 0 {
			s.End += n
		} else if matched || k+1 == len(full.Generations) {
			return nil, fmt.Errorf("message %d: no end-of-turn token ends its generation block or follows it", s.Message)
		}
		out = append(out, s)
	}
	return out, nil
}
