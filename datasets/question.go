package datasets

// Question is what a model is asked: a text, or a conversation that it goes on with.
type Question struct {
	Text string // the prompt; of a conversation a reading of it, for people and for comparing texts
	// Messages is a JSON array of messages as OpenAI's chat completions have them
	// (role, content, tool_calls, …), the last of them not the assistant's. Empty
	// means that Text is the whole question.
	Messages string
	Tools    string // JSON array of the tools that may be called; empty means none
}

// Ask is the question of a plain text.
func Ask(text string) Question { return Question{Text: text} }

// Question is what the example asks.
func (e *Example) Question() Question {
	return Question{Text: e.Prompt, Messages: e.Messages, Tools: e.Tools}
}

// Questions are what the examples ask, in their order.
func Questions(examples []Example) []Question {
	list := make([]Question, len(examples))
	for i := range examples {
		list[i] = examples[i].Question()
	}
	return list
}
