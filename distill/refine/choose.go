package refine

import (
	"errors"
	"fmt"
	"slices"
)

// What Choose.Method may say.
const (
	ChooseFirst        = "first"        // the first answer that is accepted
	ChooseAll          = "all"          // all of them, each an example of weight 1
	ChooseMajority     = "majority"     // the first of those that most agree with
	ChooseDistribution = "distribution" // every distinct one, weighing its share of the votes
	ChooseJudge        = "judge"        // the one that a judge likes best
)

// What Choose.Vote may say: what makes two answers one vote.
const (
	VoteText   = "text"   // case, white space, quotes around and a full stop at the end aside
	VoteNumber = "number" // their final number has one value, see FinalNumber
	VoteLabel  = "label"  // they are one label, see Labels
	VoteJSON   = "json"   // they are one JSON value, whatever the order of keys
)

// Choose says which of the accepted answers to one prompt are learned. The zero
// value takes the first.
type Choose struct {
	Method string `yaml:"method"` // first, all, majority, distribution or judge; "" means first
	Vote   string `yaml:"vote"`   // text, number, label or json; "" means text; for majority and distribution
	// MinAgreement is the least share of the accepted answers that the majority
	// must have, 0 to 1; a prompt with less is left without an answer.
	MinAgreement float64 `yaml:"min_agreement"`
	// Smoothing is added to the votes of every label, also of those that nobody
	// voted for, before they are divided by their sum; 0 adds nothing. For
	// distribution with vote label.
	Smoothing float64 `yaml:"smoothing"`
}

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (c Choose) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	votes := c.Method == ChooseMajority || c.Method == ChooseDistribution
	switch c.Method {
	case "", ChooseFirst, ChooseAll, ChooseMajority, ChooseDistribution, ChooseJudge:
	default:
		fault("method: %q: want %s, %s, %s, %s or %s", c.Method, ChooseFirst, ChooseAll, ChooseMajority, ChooseDistribution, ChooseJudge)
	}
	switch c.Vote {
	case "", VoteText, VoteNumber, VoteLabel, VoteJSON:
		if c.Vote != "" && !votes {
			fault("vote: only methods %s and %s have it", ChooseMajority, ChooseDistribution)
		}
	default:
		fault("vote: %q: want %s, %s, %s or %s", c.Vote, VoteText, VoteNumber, VoteLabel, VoteJSON)
	}
	if !(c.MinAgreement >= 0 && c.MinAgreement <= 1) {
		fault("min_agreement: %v: want a number from 0 to 1", c.MinAgreement)
	} else if c.MinAgreement > 0 && c.Method != ChooseMajority {
		fault("min_agreement: only method %s has it", ChooseMajority)
	}
	if !(c.Smoothing >= 0 && c.Smoothing <= 1e6) {
		fault("smoothing: %v: want 0 or more", c.Smoothing)
	} else if c.Smoothing > 0 && (c.Method != ChooseDistribution || c.Vote != VoteLabel) {
		fault("smoothing: only method %s with vote %s has it", ChooseDistribution, VoteLabel)
	}
	return errors.Join(faults...)
}

// Answer is one of several answers to a prompt.
type Answer struct {
	Text   string
	Finish string // how it ended, as distill.Answer says it
}

// Screened is what a Checker says of the answers to one prompt.
type Screened struct {
	Texts    []string  // of the accepted answers, as they are to be learned
	Indices  []int     // theirs, ascending
	Rejected [][]Fault // by answer; none for the accepted ones
}

// Screen checks the answers to one prompt. A nil Checker accepts all.
func (c *Checker) Screen(answers []Answer, reference string) Screened {
	s := Screened{Rejected: make([][]Fault, len(answers))}
	for i, a := range answers {
		text, faults := a.Text, []Fault(nil)
		if c != nil {
			text, faults = c.Check(a.Text, reference, a.Finish)
		}
		if s.Rejected[i] = faults; len(faults) == 0 {
			s.Texts = append(s.Texts, text)
			s.Indices = append(s.Indices, i)
		}
	}
	return s
}

// Chosen is an answer to learn.
type Chosen struct {
	Index  int     // of the answers; -1 for a label that smoothing alone gave weight
	Text   string  // the response
	Weight float64 // of the example: 1, or the share in a distribution
	Why    string  // for people
}

// Choice is what is learned of one prompt's answers; nothing if it is left
// without one.
type Choice struct {
	Chosen []Chosen
	// Agreement is the share of the accepted answers that voted for the winner,
	// Margin by how much that is above the next; for majority and distribution.
	Agreement, Margin float64
	Voted             bool // whether Agreement and Margin mean something
}

// Chooser applies a Choose. It may be used by many goroutines at once.
type Chooser struct {
	options Choose
	labels  *Labels
}

// NewChooser needs the labels for vote label, and ignores them otherwise.
func NewChooser(o Choose, labels []string) (*Chooser, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Chooser{options: o}
	if o.Vote != VoteLabel {
		return c, nil
	}
	if len(labels) == 0 {
		return nil, errors.New("vote: label: there are no labels")
	}
	var err error
	c.labels, err = NewLabels(labels)
	return c, err
}

// Choose chooses among accepted answers. For method judge it is an error: ask
// the judge about them, and use Pick.
func (c *Chooser) Choose(s Screened) (Choice, error) {
	switch c.options.Method {
	case ChooseAll:
		var choice Choice
		for i, text := range s.Texts {
			choice.Chosen = append(choice.Chosen, Chosen{s.Indices[i], text, 1, "accepted"})
		}
		return choice, nil
	case ChooseMajority:
		return c.majority(s), nil
	case ChooseDistribution:
		return c.distribution(s), nil
	case ChooseJudge:
		return Choice{}, errors.New("the judge has to be asked")
	}
	if len(s.Texts) == 0 {
		return Choice{}, nil
	}
	return s.Pick(0, "the first that is accepted"), nil
}

// Pick chooses the accepted answer at a position of Texts.
func (s Screened) Pick(at int, why string) Choice {
	return Choice{Chosen: []Chosen{{s.Indices[at], s.Texts[at], 1, why}}}
}

// Statistics sums up what became of the answers to many prompts.
type Statistics struct {
	Prompts    int
	Unanswered int // prompts of which nothing is learned
	Answers    int
	Accepted   int    // answers
	Rejected   Counts // answers, by validator
	Voted      int    // prompts whose answers voted
	agreement  float64
}

// Add counts one prompt.
func (s *Statistics) Add(screened Screened, choice Choice) {
	if s.Rejected == nil {
		s.Rejected = Counts{}
	}
	s.Prompts++
	s.Answers += len(screened.Rejected)
	s.Accepted += len(screened.Texts)
	for _, faults := range screened.Rejected {
		s.Rejected.Add(faults)
	}
	if len(choice.Chosen) == 0 {
		s.Unanswered++
	}
	if choice.Voted {
		s.Voted++
		s.agreement += choice.Agreement
	}
}

// Agreement is the mean agreement of the prompts whose answers voted; 0 for none.
func (s *Statistics) Agreement() float64 { return s.agreement / float64(max(1, s.Voted)) }

// ballots counts the votes of accepted answers.
type ballots struct {
	keys  []string // distinct, by first vote
	first []int    // position in Texts of the first vote, by key
	votes []int    // by key
}

func (c *Chooser) count(s Screened) ballots {
	var b ballots
	for i, text := range s.Texts {
		key, ok := c.vote(text)
		if !ok {
			continue
		}
		k := slices.Index(b.keys, key)
		if k < 0 {
			k = len(b.keys)
			b.keys, b.first, b.votes = append(b.keys, key), append(b.first, i), append(b.votes, 0)
		}
		b.votes[k]++
	}
	return b
}
