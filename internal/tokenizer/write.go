package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// noMaxLength is what transformers writes for model_max_length where no limit
// is known: int(1e30).
const noMaxLength = "1000000000000000019884624838656"

// Write writes tokenizer.json, tokenizer_config.json and
// special_tokens_map.json, which transformers loads, into a directory that it
// makes if needed. Files that were read are written back byte for byte.
func (t *Tokenizer) Write(dir string) error {
	if m, ok := t.model.(*scored); ok {
		if err := t.checkMerges(m); err != nil {
			return fmt.Errorf("write tokenizer %s: %w", dir, err)
		}
	}
	config, err := t.configJSON()
	if err != nil {
		return fmt.Errorf("write tokenizer %s: %w", dir, err)
	}
	special, err := t.specialJSON()
	if err != nil {
		return fmt.Errorf("write tokenizer %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("write tokenizer: %w", err)
	}
	files := map[string][]byte{tokenizerFile: t.source, configFile: config, specialFile: special}
	for name, data := range t.settings.files {
		files[name] = data
	}
	for _, name := range []string{tokenizerFile, configFile, specialFile, templateFile} {
		data, ok := files[name]
		if !ok {
			continue
		}
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), data); err != nil {
			return fmt.Errorf("write tokenizer: %w", err)
		}
	}
	return nil
}

// addsAround reports whether the template puts exactly BOS before a text, or
// exactly EOS after it; ok is false if it does anything else.
func (t *Tokenizer) addsAround() (bos, eos, ok bool) {
	if t.post == nil {
		return false, false, true
	}
	texts := 0
	ok = true
	for _, part := range t.post {
		if part.text {
			texts++
			continue
		}
		for _, id := range part.ids {
			switch {
			case texts == 0 && id == t.bos && !bos:
				bos = true
			case texts == 1 && id == t.eos && !eos:
				eos = true
			default:
				ok = false
			}
		}
	}
	return bos, eos, ok && texts == 1
}

func (t *Tokenizer) configJSON() ([]byte, error) {
	bos, eos, _ := t.addsAround()
	config := struct {
		AddBOS       bool        `json:"add_bos_token"`
		AddEOS       bool        `json:"add_eos_token"`
		BOS          *string     `json:"bos_token"`
		ChatTemplate string      `json:"chat_template,omitempty"`
		CleanUp      bool        `json:"clean_up_tokenization_spaces"`
		EOS          *string     `json:"eos_token"`
		MaxLength    json.Number `json:"model_max_length"`
		PAD          *string     `json:"pad_token"`
		Class        string      `json:"tokenizer_class"`
		UNK          *string     `json:"unk_token"`
	}{
		AddBOS: bos, AddEOS: eos,
		BOS: named(t.settings.bos), EOS: named(t.settings.eos), PAD: named(t.settings.pad), UNK: named(t.settings.unk),
		ChatTemplate: t.settings.chatTemplate,
		MaxLength:    noMaxLength, Class: "PreTrainedTokenizerFast",
	}
	return indented(config)
}

func (t *Tokenizer) specialJSON() ([]byte, error) {
	return indented(struct {
		BOS *string `json:"bos_token,omitempty"`
		EOS *string `json:"eos_token,omitempty"`
		PAD *string `json:"pad_token,omitempty"`
		UNK *string `json:"unk_token,omitempty"`
	}{named(t.settings.bos), named(t.settings.eos), named(t.settings.pad), named(t.settings.unk)})
}

// named returns the token that the settings name for a role, nil for none. The
// model's own unknown token is not among them: naming it would make it special.
func named(token string) *string {
	if token == "" {
		return nil
	}
	return &token
}

// indented returns JSON as people read it, with < and > as they are.
func indented(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(value)
	return b.Bytes(), err
}
