package refine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"
)

// Seed is a row that shows what prompts are like.
type Seed struct {
	ID    string
	Text  string
	Label string // its class; "" for all if there are none
}

// Ask is one request for new prompts.
type Ask struct {
	Text  string   // the request's prompt
	Seeds []string // ids of the seeds in it
	Label string   // that the new prompts are to have
	Round int      // from 1
}

// NewPrompt is a prompt that was kept, and where it comes from.
type NewPrompt struct {
	ID      string // synthetic-000001 and so on
	Text    string
	Label   string
	Seeds   []string // ids, of rows or of new prompts
	Request string   // the caller's name of the request, as its hash
	Round   int
}

// Names of what Dropped counts beside the keys of Synthesis.
const (
	droppedUnreadable = "unreadable" // replies without any prompt
	droppedSurplus    = "surplus"    // prompts beyond four times per_request in a reply, or beyond target
	droppedNoWords    = "no_words"   // prompts of signs alone
)

// Synthesizer asks for new prompts round by round. It is for one goroutine.
type Synthesizer struct {
	options   Synthesis
	labels    []string // by first seed; [""] without classes
	byLabel   map[string][]Seed
	newLabel  map[string][]Seed // kept prompts, to be seeds
	index     *similarIndex
	forbidden [][]string
	asked     int
	round     int
	kept      []NewPrompt
	dropped   Counts
}

// NewSynthesizer needs at least one seed, and of every seed or of none a label.
func NewSynthesizer(o Synthesis, seeds []Seed) (*Synthesizer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Synthesizer{options: o.WithDefaults(), byLabel: map[string][]Seed{}, newLabel: map[string][]Seed{}, dropped: Counts{}}
	if len(seeds) == 0 {
		return nil, errors.New("there are no seeds")
	}
	s.index = newSimilarIndex(s.options.MaxSimilarity)
	for _, seed := range seeds {
		if seed.Text = strings.ToValidUTF8(seed.Text, "�"); strings.TrimSpace(seed.Text) == "" {
			return nil, fmt.Errorf("seed %q: empty", seed.ID)
		}
		if (seed.Label == "") != (seeds[0].Label == "") {
			return nil, fmt.Errorf("seed %q: label %q: want a label of every seed or of none", seed.ID, seed.Label)
		}
		if s.byLabel[seed.Label] == nil {
			s.labels = append(s.labels, seed.Label)
		}
		s.byLabel[seed.Label] = append(s.byLabel[seed.Label], seed)
		s.index.add(seed.Text)
	}
	for _, word := range o.Forbidden {
		s.forbidden = append(s.forbidden, wordsOf(word))
	}
	return s, nil
}

// Round returns the requests of the next round: as many as would do if every
// prompt were kept, at most most; none when there are enough prompts, or were
// enough requests. Labels take turns. What seeds they show depends on r and on
// what was kept before. Give the replies to Add before the next round.
func (s *Synthesizer) Round(r *rand.Rand, most int) []Ask {
	missing := s.options.Target - len(s.kept)
	n := min((missing+s.options.PerRequest-1)/s.options.PerRequest, most, s.options.MaxRequests-s.asked)
	if n <= 0 {
		return nil
	}
	s.round++
	asks := make([]Ask, n)
	for i := range asks {
		label := s.labels[s.asked%len(s.labels)]
		s.asked++
		shown := s.draw(r, label)
		ask := Ask{Label: label, Round: s.round, Text: s.options.request(shown, label)}
		for _, seed := range shown {
			ask.Seeds = append(ask.Seeds, seed.ID)
		}
		asks[i] = ask
	}
	return asks
}

// draw chooses the seeds of a request: up to FromNew of the new prompts, the
// rest of the rows, in random order.
func (s *Synthesizer) draw(r *rand.Rand, label string) []Seed {
	fresh := s.newLabel[label]
	shown := pick(r, fresh, min(s.options.FromNew, len(fresh)))
	rows := s.byLabel[label]
	shown = append(shown, pick(r, rows, min(s.options.Seeds-len(shown), len(rows)))...)
	r.Shuffle(len(shown), func(i, j int) { shown[i], shown[j] = shown[j], shown[i] })
	return shown
}

// pick draws n of the seeds without putting one back.
func pick(r *rand.Rand, seeds []Seed, n int) []Seed {
	picked, taken := make([]Seed, 0, n), map[int]bool{}
	for len(picked) < n {
		if i := r.IntN(len(seeds)); !taken[i] {
			taken[i] = true
			picked = append(picked, seeds[i])
		}
	}
	return picked
}

// Add reads the reply to a request, keeps the prompts in it that are good and
// new, and returns them. For equal results, give the replies of a round in the
// order of its requests. request names the request, as its hash.
func (s *Synthesizer) Add(ask Ask, request, reply string) []NewPrompt {
	before := len(s.kept)
	texts := parsePrompts(reply)
	if len(texts) == 0 {
		s.dropped[droppedUnreadable]++
	}
	for i, text := range texts {
		if i >= 4*s.options.PerRequest || len(s.kept) >= s.options.Target {
			s.dropped[droppedSurplus] += len(texts) - i
			break
		}
		text = strings.TrimSpace(text)
		if why := s.refuse(text); why != "" {
			s.dropped[why]++
			continue
		}
		p := NewPrompt{ID: fmt.Sprintf("synthetic-%06d", len(s.kept)+1), Text: text, Label: ask.Label,
			Seeds: slices.Clone(ask.Seeds), Request: request, Round: ask.Round}
		s.index.add(text)
		s.kept = append(s.kept, p)
		s.newLabel[p.Label] = append(s.newLabel[p.Label], Seed{p.ID, p.Text, p.Label})
	}
	return slices.Clone(s.kept[before:])
}

// refuse names the rule that a prompt breaks, "" if none.
func (s *Synthesizer) refuse(text string) string {
	n, words := utf8.RuneCountInString(text), []string(nil)
	switch {
	case n < s.options.MinChars:
		return "min_chars"
	case n > s.options.MaxChars:
		return "max_chars"
	}
	if words = wordsOf(text); len(words) == 0 {
		return droppedNoWords
	}
	for _, phrase := range s.forbidden {
		if holdsPhrase(words, phrase) {
			return "forbidden"
		}
	}
	if len(s.options.Languages) > 0 {
		if code := Language(text); code != "" && !slices.Contains(s.options.Languages, code) {
			return "languages"
		}
	}
	if like, _ := s.index.find(text); like >= 0 {
		return "max_similarity"
	}
	return ""
}

func holdsPhrase(words, phrase []string) bool {
	for i := 0; i+len(phrase) <= len(words); i++ {
		if slices.Equal(words[i:i+len(phrase)], phrase) {
			return true
		}
	}
	return false
}

// Kept returns all new prompts so far, in order.
func (s *Synthesizer) Kept() []NewPrompt { return slices.Clone(s.kept) }

// Dropped says how many prompts each rule dropped, and how many replies held none.
func (s *Synthesizer) Dropped() Counts { return s.dropped }

// Asked is how many requests were made.
func (s *Synthesizer) Asked() int { return s.asked }
