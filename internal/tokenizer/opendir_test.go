package tokenizer_test

import (
	"strings"
	"testing"
)

func TestLoadVocabAndMerges(t *testing.T) {
	vocab := `{"a":0,"b":1,"Ġ":2,"ab":3,"Ġab":4,"<|endoftext|>":5,"<s>":6,"</s>":7,"1":8,"11":9}`
	merges := "#version: 0.2\na b\nĠ ab\n1 1\n"
	for _, c := range []struct{ config, text, want string }{
		{`{}`, "ab ab11<|endoftext|>", "ab Ġab 11 <|endoftext|>"},
		{`{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true}`, "ab", "Ġab"},
		{`{"tokenizer_class":"GPT2TokenizerFast","add_bos_token":true}`, "ab", "<|endoftext|> ab"},
		{`{"tokenizer_class":"RobertaTokenizer"}`, "ab", "<s> ab </s>"},
		{`{"tokenizer_class":"Qwen2Tokenizer"}`, "ab11", "ab 1 1"},
	} {
		tok, err := load(t, map[string]string{"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": c.config})
		if err != nil {
			t.Errorf("%s: %v", c.config, err)
			continue
		}
		if got := strings.Join(pieces(tok, c.text), " "); got != c.want {
			t.Errorf("%s: %q = %s, want %s", c.config, c.text, got, c.want)
		}
	}
	_, err := load(t, map[string]string{"vocab.json": vocab})
	contains(t, "no merges", err, "merges.txt")
	_, err = load(t, map[string]string{"vocab.json": vocab, "merges.txt": "a b c\n"})
	contains(t, "three", err, `merges: entry 0: "a b c"`)
	_, err = load(t, map[string]string{"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": `{"tokenizer_class":"CLIPTokenizer"}`})
	contains(t, "class", err, `tokenizer_class "CLIPTokenizer"`)
}

func TestLoadWordList(t *testing.T) {
	list := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##do\nÉ\ne\n中\n"
	for _, c := range []struct{ config, text, want string }{
		{`{}`, "Undo É[MASK]", "[CLS] un ##do e [MASK] [SEP]"},
		{`{"do_lower_case":false}`, "undo É", "[CLS] un ##do É [SEP]"},
		{`{"do_lower_case":true,"strip_accents":false}`, "é", "[CLS] [UNK] [SEP]"},
		{`{"tokenize_chinese_chars":false}`, "中中", "[CLS] [UNK] [SEP]"},
		{`{"tokenizer_class":"DistilBertTokenizer"}`, "中中", "[CLS] 中 中 [SEP]"},
	} {
		tok, err := load(t, map[string]string{"vocab.txt": list, "tokenizer_config.json": c.config})
		if err != nil {
			t.Errorf("%s: %v", c.config, err)
			continue
		}
		if got := strings.Join(pieces(tok, c.text), " "); got != c.want {
			t.Errorf("%s: %q = %s, want %s", c.config, c.text, got, c.want)
		}
	}
	_, err := load(t, map[string]string{"vocab.txt": "[UNK]\n[UNK]\n"})
	contains(t, "twice", err, `lines 1 and 2 are both "[UNK]"`)
	_, err = load(t, map[string]string{"vocab.txt": "[UNK]\na\n"})
	contains(t, "no CLS", err, `the special token "[CLS]" is not in the list`)
}

func TestLoadNothing(t *testing.T) {
	_, err := load(t, map[string]string{"config.json": "{}"})
	contains(t, "nothing", err, "there is none of tokenizer.json, tokenizer.model, spiece.model, vocab.json, vocab.txt")
}
