package datasets

import "strings"

// maxChoices is the most choices that have letters.
const maxChoices = 26

// multipleChoice: a question, choices, and which of them is right. The prompt is
// the question and a line for each choice with its letter.
func (m *mapper) multipleChoice(c cells, e *Example) Reason {
	question, reason := m.render(m.prompt, c, NullPrompt, EmptyPrompt)
	if reason != "" {
		return reason
	}
	texts, labels, reason := choicesOf(c.of(m.columns.Choices))
	if reason != "" {
		return reason
	}
	var prompt strings.Builder
	prompt.WriteString(strings.TrimRight(question, " \t\r\n") + "\n")
	letters := make([]string, len(texts))
	for i, text := range texts {
		letters[i] = string(rune('A' + i))
		prompt.WriteString("\n" + letters[i] + ". " + text)
	}
	e.Prompt, e.Choices = prompt.String(), letters
	if m.in.Respond == ByText {
		e.Choices = texts
	}
	if m.in.PromptOnly {
		return ""
	}
	answer := c.of(m.columns.Answer)
	text, reason := m.responseOf(answer)
	if reason != "" {
		return reason
	}
	right := m.answerOf(strings.TrimSpace(text), answer.number, texts, labels)
	if right < 0 {
		return UnknownAnswer
	}
	e.Response = e.Choices[right]
	return ""
}

// choicesOf reads a list of texts, or a struct of the lists text and label.
func choicesOf(c cell) (texts, labels []string, reason Reason) {
	if c.state != cellJSON {
		if _, reason = c.scalar(BadChoices); reason == "" {
			reason = BadChoices
		}
		return nil, nil, reason
	}
	list := []byte(c.text)
	if list[0] == '{' {
		list = nil
		for key, value := range members([]byte(c.text)) {
			switch key {
			case "text":
				list = value
			case "label":
				if labels, reason = textsOf(value); reason != "" {
					return nil, nil, reason
				}
			}
		}
	}
	if texts, reason = textsOf(list); reason != "" {
		return nil, nil, reason
	}
	seen := map[string]bool{}
	for _, text := range texts {
		if text == "" || seen[text] {
			return nil, nil, BadChoices
		}
		seen[text] = true
	}
	if len(texts) < 2 || len(texts) > maxChoices || labels != nil && len(labels) != len(texts) {
		return nil, nil, BadChoices
	}
	return texts, labels, ""
}

// textsOf are the texts of a JSON array, trimmed.
func textsOf(list []byte) (texts []string, reason Reason) {
	if len(list) == 0 || list[0] != '[' {
		return nil, BadChoices
	}
	for element := range elements(list) {
		text, reason := jsonCell(element).scalar(BadChoices)
		if reason != "" {
			return nil, reason
		}
		texts = append(texts, strings.TrimSpace(text))
	}
	return texts, ""
}

// answerOf is which choice an answer means, or -1. If nobody says what answers
// are, a number is an index, a text that equals a label or a choice is that
// one, and else it is a letter or the digits of an index.
func (m *mapper) answerOf(answer string, number bool, texts, labels []string) int {
	at := func(list []string) int {
		for i, text := range list {
			if text == answer {
				return i
			}
		}
		return -1
	}
	byLetter := func() int {
		if labels != nil {
			return at(labels)
		}
		if len(answer) == 1 {
			if i := int(answer[0]|0x20) - 'a'; i >= 0 && i < len(texts) {
				return i
			}
		}
		return -1
	}
	byIndex := func() int {
		if i, ok := index(answer); ok && i < len(texts) {
			return i
		}
		return -1
	}
	switch {
	case m.in.Answer == ByText:
		return at(texts)
	case m.in.Answer == ByLetter:
		return byLetter()
	case m.in.Answer == ByIndex, number && labels == nil:
		return byIndex()
	}
	for _, find := range []func() int{func() int { return at(labels) }, func() int { return at(texts) }, byLetter, byIndex} {
		if i := find(); i >= 0 {
			return i
		}
	}
	return -1
}
