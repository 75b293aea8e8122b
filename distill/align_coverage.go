package distill

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/model"
)

// shownExamples is how many answers a Coverage names.
const shownExamples = 3

// Coverage says for how much of the answers a teacher's probabilities are known
// in the student's tokens.
type Coverage struct {
	Places int     // tokens of the answers; with uld as many as the teacher's where those are fewer
	Known  int     // of them with a distribution
	Kept   float64 // probability in those, summed over them
	Told   float64 // probability that the teacher told there, likewise
	// Examples are up to 3 answers with a token without one, and where.
	Examples []string
}

// Share is Known of Places; 0 of none.
func (c Coverage) Share() float64 { return ratio(float64(c.Known), float64(c.Places)) }

// Mass is how much of the probability that the teacher told is kept.
func (c Coverage) Mass() float64 { return ratio(c.Kept, c.Told) }

func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// String says it in a line.
func (c Coverage) String() string {
	return fmt.Sprintf("the teacher's probabilities are known of %d of the answers' %d tokens (%.1f %%), and %.1f %% of what it told there is kept",
		c.Known, c.Places, 100*c.Share(), 100*c.Mass())
}

func (c *Coverage) add(d Coverage) {
	c.Places, c.Known, c.Kept, c.Told = c.Places+d.Places, c.Known+d.Known, c.Kept+d.Kept, c.Told+d.Told
	if room := shownExamples - len(c.Examples); room > 0 {
		c.Examples = append(c.Examples, d.Examples[:min(room, len(d.Examples))]...)
	}
}

// Check refuses a share below o's.
func (c Coverage) Check(o Options) error {
	least := o.minCoverage()
	if c.Share() >= least {
		return nil
	}
	lines := append([]string{fmt.Sprintf("%v: less than min_coverage %v", c, least)}, c.Examples...)
	if o.Divergence != ULD && len(c.Examples) > 0 {
		lines = append(lines, fmt.Sprintf("divergence: %s compares the probabilities of other tokens, too", ULD))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// mismatch says which token of an answer is the first without a distribution,
// and what the teacher has there.
func mismatch(id, text string, student, teacher []laid, same bool, top []model.TopTokens) string {
	const most = 8 // tokens to show
	j := slices.IndexFunc(top, func(t model.TopTokens) bool { return len(t.IDs) == 0 })
	if len(teacher) == 0 {
		return fmt.Sprintf("answer %s: the teacher told no tokens of %s", id, quoted(text))
	}
	if !same {
		return fmt.Sprintf("answer %s: the teacher's tokens do not say its text, %s", id, quoted(text))
	}
	at := student[j].from
	i := slices.IndexFunc(teacher, func(p laid) bool { return p.from == at || p.to > at })
	if i < 0 {
		i = len(teacher)
	}
	show := func(list []laid) string {
		var words []string
		for _, l := range list[:min(len(list), most)] {
			words = append(words, fmt.Sprintf("%q", l.bytes))
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprintf("answer %s: at byte %d of %s the student's tokens are %s, the teacher's %s", id, at, quoted(text), show(student[j:]), show(teacher[i:]))
}
