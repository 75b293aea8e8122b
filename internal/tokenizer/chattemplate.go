package tokenizer

import "maps"

// ChatTemplate is the model's chat template (Jinja), "" if it has none.
func (t *Tokenizer) ChatTemplate() string { return t.settings.chatTemplate }

// WithChatTemplate returns the tokenizer with another chat template, which
// Write and GGUF then export: of a model that was tuned with it.
func (t *Tokenizer) WithChatTemplate(text string) *Tokenizer {
	with := *t
	with.settings.chatTemplate = text
	with.settings.files = maps.Clone(t.settings.files)
	if with.settings.files == nil {
		with.settings.files = map[string][]byte{}
	}
	with.settings.files[templateFile] = []byte(text)
	return &with
}
