package recipes

import (
	"slices"

	"github.com/retort-ml/retort/datasets"
)

// learning says what of an example is learned, and what happens to examples that
// do not fit. Only an assistant's turns can be learned: chat templates mark no
// others. The tokens of all others count with prompt_weight.
type learning struct {
	Learn datasets.Turns `yaml:"learn,omitempty"` // of a conversation: last, the response alone (also when empty), or all: every turn of the assistant
	// TooLong says what happens to examples longer than the length: drop (also when
	// empty) counts and names them; error stops; truncate_left leaves out the oldest
	// turns of a conversation, then the beginning of the prompt's text;
	// truncate_right leaves out the last tokens.
	TooLong string `yaml:"too_long,omitempty"`
	// NothingLearned says what happens to examples of which no token is learned:
	// error (also when empty) stops and names the first; drop counts them.
	NothingLearned string `yaml:"nothing_learned,omitempty"`
}

// The values, with the one that empty means first.
var (
	learnValues          = []string{string(datasets.LastTurn), string(datasets.AllTurns)}
	tooLongValues        = []string{datasets.DropTooLong, datasets.ErrorTooLong, datasets.TruncateLeft, datasets.TruncateRight}
	nothingLearnedValues = []string{datasets.ErrorUnlearned, datasets.DropUnlearned}
)

func (o learning) check(c *checker) {
	for _, k := range []struct {
		key, value string
		values     []string
	}{{"learn", string(o.Learn), learnValues}, {"too_long", o.TooLong, tooLongValues}, {"nothing_learned", o.NothingLearned, nothingLearnedValues}} {
		if k.value != "" && !slices.Contains(k.values, k.value) {
			c.blame(k.key, "%s", unknown("value", k.value, k.values))
		}
	}
}

// shortest leaves out what is the default anyway, for the fingerprint.
func (o learning) shortest() learning {
	if string(o.Learn) == learnValues[0] {
		o.Learn = ""
	}
	if o.TooLong == tooLongValues[0] {
		o.TooLong = ""
	}
	if o.NothingLearned == nothingLearnedValues[0] {
		o.NothingLearned = ""
	}
	return o
}

// format is how examples become sequences of at most length tokens for l.
func (o learning) format(l *loaded, length int, promptsOnly bool) datasets.Format {
	return datasets.Format{Writer: l.writer, BOS: l.bos, EOS: l.stop[0], MaxTokens: length, OmitResponse: promptsOnly,
		Turns: o.Learn, TooLong: o.TooLong, NothingLearned: o.NothingLearned}
}

// rule names how l's student reads texts, and the examples, for a token cache.
func (l *loaded) rule(examples string) datasets.TokensRule {
	return datasets.TokensRule{Tokenizer: l.tokenizer.Hash(), ChatTemplate: l.promptingRecord().ChatTemplate, Examples: examples}
}
