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

// SpecialTexts are the special tokens that a chat template may print, by their
// names there: bos_token, eos_token, pad_token, unk_token.
func (t *Tokenizer) SpecialTexts() map[string]string {
	texts := map[string]string{}
	for name, token := range map[string]func() (int32, bool){
		"bos_token": t.BOS, "eos_token": t.EOS, "pad_token": t.PAD, "unk_token": t.UNK,
	} {
		if id, ok := token(); ok {
			texts[name], _ = t.Token(id)
		}
	}
	return texts
}
