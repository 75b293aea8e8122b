package datasets

// Prompting writes prompts and responses as a model has learned to read them,
// such as in the turns of its chat template.
type Prompting interface {
	// Prompt is the text that the model continues with its answer.
	Prompt(text string) (string, error)
	// Response is what follows Prompt's text when the answer is text, up to the end token.
	Response(text string) (string, error)
	// Answer is the text of an answer that the model wrote: Response's inverse, as far as it has one.
	Answer(response string) string
	// ID names how texts are written: equal names, equal texts.
	ID() string
}

// Plain writes texts as they are.
type Plain struct{}

// Prompt is text.
func (Plain) Prompt(text string) (string, error) { return text, nil }

// Response is text.
func (Plain) Response(text string) (string, error) { return text, nil }

// Answer is response.
func (Plain) Answer(response string) string { return response }

// ID is empty.
func (Plain) ID() string { return "" }
