package tokenizer_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// writeFiles makes a directory with document's tokenizer.json and other files.
func writeFiles(t *testing.T, changes fields, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{"tokenizer.json": string(document(t, changes))}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadSettings(t *testing.T) {
	const both = `"bos_token":"<s>","eos_token":{"__type":"AddedToken","content":"</s>","lstrip":false,"normalized":false,"rstrip":false,"single_word":false}`
	for _, c := range []struct {
		name         string
		files        map[string]string
		bos, eos     int32
		pad          int32
		ab           []int32 // Encode("ab<s>", true)
		chatTemplate string
	}{
		{"nothing", nil, -1, -1, -1, []int32{7, 0, 0, 0}, ""},
		{"configuration", map[string]string{"tokenizer_config.json": `{` + both + `,"chat_template":"{{x}}\n","model_max_length":512}`}, 9, 10, -1, []int32{7, 9}, "{{x}}\n"},
		{"special tokens map", map[string]string{"special_tokens_map.json": `{` + both + `,"pad_token":"</s>"}`}, 9, 10, 10, []int32{7, 9}, ""},
		{"configuration wins", map[string]string{
			"tokenizer_config.json":   `{"bos_token":"</s>","eos_token":null,"add_bos_token":true}`,
			"special_tokens_map.json": `{"bos_token":"<s>","eos_token":"e"}`,
		}, 10, 5, -1, []int32{7, 0, 0, 0}, ""},
		{"llama class", map[string]string{"tokenizer_config.json": `{` + both + `,"tokenizer_class":"LlamaTokenizer","add_eos_token":true}`}, 9, 10, -1, []int32{9, 7, 9, 10}, ""},
		{"llama class without BOS", map[string]string{"tokenizer_config.json": `{` + both + `,"tokenizer_class":"LlamaTokenizerFast","add_bos_token":false}`}, 9, 10, -1, []int32{7, 9}, ""},
		{"additional", map[string]string{"tokenizer_config.json": `{"additional_special_tokens":["<s>"]}`}, -1, -1, -1, []int32{7, 9}, ""},
		{"added tokens", map[string]string{"tokenizer_config.json": `{"added_tokens_decoder":{"9":{"content":"<s>","special":true},"11":{"content":"b<"}}}`}, -1, -1, -1, []int32{1, 11, 0, 0}, ""},
		{"template file", map[string]string{"tokenizer_config.json": `{"chat_template":"old"}`, "chat_template.jinja": "new\n"}, -1, -1, -1, []int32{7, 0, 0, 0}, "new\n"},
		{"named templates", map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"rag","template":"r"},{"name":"default","template":"d"}]}`}, -1, -1, -1, []int32{7, 0, 0, 0}, "d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeFiles(t, nil, c.files)
			tok, err := tokenizer.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			bos, _ := tok.BOS()
			eos, _ := tok.EOS()
			pad, _ := tok.PAD()
			if bos != c.bos || eos != c.eos || pad != c.pad {
				t.Errorf("BOS, EOS, PAD = %d, %d, %d, want %d, %d, %d", bos, eos, pad, c.bos, c.eos, c.pad)
			}
			if got := tok.Encode("ab<s>", true); !slices.Equal(got, c.ab) {
				t.Errorf(`Encode("ab<s>") = %v, want %v`, got, c.ab)
			}
			if tok.ChatTemplate() != c.chatTemplate {
				t.Errorf("ChatTemplate = %q, want %q", tok.ChatTemplate(), c.chatTemplate)
			}
			checkWrittenBack(t, dir, tok, c.files)
		})
	}
}

// checkWrittenBack writes tok and compares the files with those that were read.
func checkWrittenBack(t *testing.T, dir string, tok *tokenizer.Tokenizer, files map[string]string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "new")
	if err := tok.Write(out); err != nil {
		t.Fatal(err)
	}
	names := []string{"tokenizer.json"}
	for name := range files {
		names = append(names, name)
	}
	for _, name := range names {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s was not written back byte for byte: %v", name, err)
		}
	}
	again, err := tokenizer.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	if again.Hash() != tok.Hash() || again.ChatTemplate() != tok.ChatTemplate() {
		t.Error("written and loaded again, the tokenizer is another one")
	}
}

func TestLoadPrefixSpace(t *testing.T) {
	pre := fields{"pre_tokenizer": fields{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}}
	dir := writeFiles(t, pre, map[string]string{"tokenizer_config.json": `{"add_prefix_space":true}`})
	tok, err := tokenizer.Load(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	plain := mustParse(t, pre)
	if got := tok.Encode("ab", false); !slices.Equal(got, []int32{0, 7}) { // Ġ is unknown
		t.Errorf("Encode = %v, want the prefix space of the configuration", got)
	}
	if plain.Hash() == tok.Hash() {
		t.Error("the prefix space does not change the hash")
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"damaged configuration", "tokenizer_config.json", `{`, "tokenizer_config.json: unexpected end"},
		{"token is a number", "tokenizer_config.json", `{"bos_token":3}`, "tokenizer_config.json"},
		{"unknown token", "tokenizer_config.json", `{"pad_token":"<pad>"}`, `special token "<pad>" of the configuration is not in the vocabulary`},
		{"template of a wrong kind", "tokenizer_config.json", `{"chat_template":3}`, "chat_template: want"},
		{"no default template", "tokenizer_config.json", `{"chat_template":[{"name":"rag","template":""}]}`, `"default"`},
		{"llama class without a BOS", "tokenizer_config.json", `{"tokenizer_class":"LlamaTokenizer","add_bos_token":true}`, "no bos_token"},
		{"llama class without an EOS", "tokenizer_config.json", `{"tokenizer_class":"LlamaTokenizer","bos_token":"<s>","add_eos_token":true}`, "no eos_token"},
		{"added token moved", "tokenizer_config.json", `{"added_tokens_decoder":{"3":{"content":"<s>"}}}`, `"<s>": its id is 3 there, but 9`},
		{"added token below zero", "tokenizer_config.json", `{"added_tokens_decoder":{"-3":{"content":"<s>"}}}`, "id -3 is out of range"},
		{"special tokens map", "special_tokens_map.json", `[]`, "special_tokens_map.json"},
		{"additional is an object", "special_tokens_map.json", `{"additional_special_tokens":[3]}`, "additional_special_tokens"},
		{"tokenizer", "tokenizer.json", `{"model":{}}`, "tokenizer.json: model"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tokenizer.Load(writeFiles(t, nil, map[string]string{c.file: c.text}))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "load tokenizer") {
				t.Errorf("got error %v, want %s", err, c.want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := tokenizer.Load(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("Load of a missing file: %v", err)
	}
	dir := writeFiles(t, nil, nil)
	if err := os.Mkdir(filepath.Join(dir, "tokenizer_config.json"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := tokenizer.Load(dir); err == nil {
		t.Error("Load with a directory in place of tokenizer_config.json: no error")
	}
}

func TestWriteNamesThePath(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := mustParse(t, nil).Write(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Write into a file: %v", err)
	}
}

func TestWrittenConfig(t *testing.T) {
	tok := train(t, tokenizer.TrainOptions{VocabSize: 300, BOS: "<s>"})
	dir := t.TempDir()
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "<|endoftext|>", "pad_token": "<|pad|>",
		"unk_token": nil, "add_bos_token": true, "add_eos_token": false, "model_max_length": 1e30, "clean_up_tokenization_spaces": false,
	} {
		if value, ok := got[key]; !ok || value != want {
			t.Errorf("tokenizer_config.json: %s is %v, want %v", key, value, want)
		}
	}
	again, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.Hash() != tok.Hash() {
		t.Error("written and loaded again, the tokenizer is another one")
	}
}
