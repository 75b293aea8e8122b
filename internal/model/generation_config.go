package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// readGenerationConfig takes the tokens that end an answer from
// generation_config.json beside config.json, if there is one that names any:
// transformers' generate heeds it before config.json, and instruction-tuned
// models list their end-of-turn token there alone.
func (c *Config) readGenerationConfig(dir string) error {
	path := filepath.Join(dir, "generation_config.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read generation configuration: %w", err)
	}
	f, err := parseFields(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	var named Config
	if err := named.setSpecialTokens(f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	for _, id := range named.EOS {
		if id < 0 || int(id) >= c.VocabSize {
			return fmt.Errorf("read %s: eos_token_id %d is outside the vocabulary of %d", path, id, c.VocabSize)
		}
	}
	if len(named.EOS) > 0 {
		c.EOS = named.EOS
	}
	return nil
}
