package checkpoint

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/retort-ml/retort/internal/chat"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// maxTemplate is how long a template's file may be, in bytes.
const maxTemplate = 16 << 20

// Templates reads the chat templates at path: of a Hugging Face directory, of a
// GGUF file, or the one that a file of any other kind is. Only such a file
// takes the special tokens, by names such as bos_token.
func Templates(path string, special map[string]string) (*chat.Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return chat.Load(path)
	}
	isGGUF, err := IsGGUF(path)
	if err != nil {
		return nil, err
	}
	if !isGGUF {
		text, err := readTemplate(path)
		return chat.FromText(text, path, special), err
	}
	t, err := Tokenizer(path)
	if err != nil {
		return nil, err
	}
	return chat.FromText(t.ChatTemplate(), path, t.SpecialTexts()), nil
}

func readTemplate(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err == nil && len(data) > maxTemplate {
		err = fmt.Errorf("read %s: more than %d bytes", path, maxTemplate)
	}
	return string(data), err
}

// EndTokens are the texts of all tokens that end an answer of the model at path.
func EndTokens(path string, t *tokenizer.Tokenizer) []string {
	var ids []int32
	if id, ok := t.EOS(); ok {
		ids = append(ids, id)
	}
	if c, err := model.LoadConfig(path); err == nil { // a tokenizer alone has none
		ids = append(ids, c.EOS...)
	}
	var texts []string
	for _, id := range ids {
		if text, ok := t.Token(id); ok && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}
