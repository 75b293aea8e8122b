package datasets

import "errors"

// Prompting writes prompts and responses as a model has learned to read them,
// such as in the turns of its chat template.
type Prompting interface {
	// Prompt is the text that the model continues with its answer.
	Prompt(q Question) (string, error)
	// Response is what follows Prompt's text when the answer is text, up to the end token.
	Response(text string) (string, error)
	// Answer is the text of an answer that the model wrote: Response's inverse, as far as it has one.
	Answer(response string) string
	// Conversation is a whole conversation, which q begins and turn ends (JSON, as
	// Example.Turn), with what is learned of it, each turn up to and with its end
	// token. Of writers without turns it is ErrNoTurns.
	Conversation(q Question, turn string, which Turns) (Written, error)
	// ID names how texts are written: equal names, equal texts.
	ID() string
}

// Turns says which of the assistant's turns are learned.
type Turns string

// The turns learned.
const (
	LastTurn Turns = "last" // the response alone
	AllTurns Turns = "all"
)

// Written is a text and what is learned of it.
type Written struct {
	Text    string
	Learned []Span // in order, apart from each other
}

// Span is the bytes [Start, End) of a text.
type Span struct{ Start, End int }

// ErrNoTurns says that a conversation cannot be written as plain text.
var ErrNoTurns = errors.New("a conversation needs a chat template: set chat of the model")

// Plain writes texts as they are.
type Plain struct{}

// Prompt is the question's text; a conversation is ErrNoTurns.
func (Plain) Prompt(q Question) (string, error) {
	if q.Messages != "" {
		return "", ErrNoTurns
	}
	return q.Text, nil
}

// Response is text.
func (Plain) Response(text string) (string, error) { return text, nil }

// Answer is response.
func (Plain) Answer(response string) string { return response }

// Conversation is ErrNoTurns.
func (Plain) Conversation(Question, string, Turns) (Written, error) { return Written{}, ErrNoTurns }

// ID is empty.
func (Plain) ID() string { return "" }
