package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	spmFile    = "tokenizer.model"
	spieceFile = "spiece.model" // T5's and ALBERT's name for it
	vocabFile  = "vocab.json"
	mergesFile = "merges.txt"
	wordsFile  = "vocab.txt"
)

// Load reads a tokenizer from a directory, with the files beside it:
// tokenizer_config.json, special_tokens_map.json and chat_template.jinja, each of
// which may be absent. Of the files that can hold the vocabulary the first that is
// there counts: tokenizer.json, tokenizer.model or spiece.model (SentencePiece),
// vocab.json with merges.txt (byte-level BPE), vocab.txt (WordPiece). A path to a
// file is that file: SentencePiece if its name ends with .model, else a
// tokenizer.json.
//
// The last three say less than a tokenizer.json: how text is cut is known by
// tokenizer_class, and a class for which it is not known here is refused.
func Load(dirOrFile string) (*Tokenizer, error) {
	path, open, err := findVocabulary(dirOrFile)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	s, err := readSettings(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	t, err := open(source, s, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("load tokenizer %s: %w", path, err)
	}
	return t, nil
}

// opener makes a tokenizer of a file's contents, the settings beside it and
// their directory.
type opener func(source []byte, s settings, dir string) (*Tokenizer, error)

func findVocabulary(dirOrFile string) (string, opener, error) {
	openJSON := func(source []byte, s settings, _ string) (*Tokenizer, error) { return parse(source, s) }
	if info, err := os.Stat(dirOrFile); err != nil || !info.IsDir() {
		if strings.HasSuffix(dirOrFile, ".model") {
			return dirOrFile, openSentencePiece, nil
		}
		return dirOrFile, openJSON, nil
	}
	var names []string
	for _, f := range []struct {
		name string
		open opener
	}{
		{tokenizerFile, openJSON}, {spmFile, openSentencePiece}, {spieceFile, openSentencePiece},
		{vocabFile, openVocabAndMerges}, {wordsFile, openWordList},
	} {
		path := filepath.Join(dirOrFile, f.name)
		if _, err := os.Stat(path); err == nil {
			return path, f.open, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
		names = append(names, f.name)
	}
	return "", nil, fmt.Errorf("%s: there is none of %s: %w", dirOrFile, strings.Join(names, ", "), fs.ErrNotExist)
}

// slowClass is the class without the Fast at its end.
func (s *settings) slowClass() string { return strings.TrimSuffix(s.class, "Fast") }

// checkClass refuses a class that cuts text in a way that is not known here.
func (s *settings) checkClass(file string, known ...string) error {
	if slices.Contains(known, s.slowClass()) {
		return nil
	}
	return fmt.Errorf("tokenizer_class %q: how it uses %s is not known (known: %s)", s.class, file, strings.Join(known[1:], ", "))
}

// openSentencePiece reads a tokenizer.model. BOS is added before a text, as
// Llama's and Gemma's classes do, and EOS is not, unless the settings say
// otherwise; T5's class adds EOS alone.
func openSentencePiece(source []byte, s settings, _ string) (*Tokenizer, error) {
	if err := s.checkClass("a SentencePiece model", "", "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "T5Tokenizer"); err != nil {
		return nil, err
	}
	m, err := parseSentencePiece(source)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]int32, len(m.pieces))
	for id, piece := range m.pieces {
		ids[piece] = int32(id)
	}
	for _, special := range []struct {
		name *string
		id   int32
	}{{&s.bos, m.bos}, {&s.eos, m.eos}, {&s.pad, m.pad}, {&s.unk, m.unk}} {
		if *special.name == "" && special.id >= 0 {
			*special.name = m.pieces[special.id]
		}
	}
	t5 := s.slowClass() == "T5Tokenizer"
	v := GGUFVocab{Tokens: m.pieces, BOS: -1, EOS: -1, AddBOS: !t5, AddEOS: t5}
	if s.addBOS != nil {
		v.AddBOS = *s.addBOS
	}
	if s.addEOS != nil {
		v.AddEOS = *s.addEOS
	}
	if id, ok := ids[s.bos]; ok {
		v.BOS = id
	} else if s.addBOS == nil {
		v.AddBOS = false // the model has none
	}
	if id, ok := ids[s.eos]; ok {
		v.EOS = id
	}
	post, err := v.postProcessor()
	if err != nil {
		return nil, err
	}
	return m.tokenizer(s, post, s.legacy == nil || *s.legacy)
}

// openVocabAndMerges reads GPT-2's pair of files.
func openVocabAndMerges(source []byte, s settings, dir string) (*Tokenizer, error) {
	if err := s.checkClass(vocabFile, "", "GPT2Tokenizer", "RobertaTokenizer", "Qwen2Tokenizer"); err != nil {
		return nil, err
	}
	var vocab vocabJSON
	if err := strictJSON(source, &vocab); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, mergesFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	merges, err := parseMerges(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	doc := newDocument{decoder: byteLevelObject(true), pre: byteLevelObject(true)}
	s.defaultSpecials(vocab, &doc)
	doc.model = bpeObject(nil, false, false)
	doc.model["type"], doc.model["vocab"], doc.model["merges"] = "BPE", map[string]int32(vocab), merges
	switch s.slowClass() {
	case "Qwen2Tokenizer":
		qwen, _ := findPre("qwen2")
		doc.normalizer, doc.pre = object{"type": "NFC"}, qwen.object()
	case "RobertaTokenizer":
		doc.post = object{
			"type": "RobertaProcessing", "trim_offsets": true, "add_prefix_space": s.addPrefixSpace != nil && *s.addPrefixSpace,
			"cls": []any{s.bos, vocab[s.bos]}, "sep": []any{s.eos, vocab[s.eos]},
		}
	default:
		if s.addBOS != nil && *s.addBOS {
			doc.post = templateObject(&addedToken{ID: vocab[s.bos], Content: s.bos}, nil)
		}
	}
	return fromDocument(doc, s)
}

// defaultSpecials names the special tokens that the class has where the settings
// name none, and adds them if the vocabulary has them.
func (s *settings) defaultSpecials(vocab map[string]int32, doc *newDocument) {
	bos, eos, unk, pad := "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", ""
	switch s.slowClass() {
	case "RobertaTokenizer":
		bos, eos, unk, pad = "<s>", "</s>", "<unk>", "<pad>"
	case "Qwen2Tokenizer":
		bos, pad = "", "<|endoftext|>"
	}
	for _, special := range []struct {
		name  *string
		value string
	}{{&s.bos, bos}, {&s.eos, eos}, {&s.unk, unk}, {&s.pad, pad}} {
		if _, ok := vocab[special.value]; ok && *special.name == "" {
			*special.name = special.value
			s.added = append(s.added, addedToken{ID: -1, Content: special.value, Special: true})
		}
	}
}

// parseMerges reads merges.txt: a pair of tokens on each line.
func parseMerges(text string) (mergesJSON, error) {
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	if lines[0] == "" && len(lines) == 1 {
		lines = nil
	}
	data, err := json.Marshal(lines)
	if err != nil {
		return nil, err
	}
	merges := mergesJSON{}
	return merges, json.Unmarshal(data, &merges)
}

// openWordList reads BERT's list of word pieces, one on each line.
func openWordList(source []byte, s settings, _ string) (*Tokenizer, error) {
	if err := s.checkClass(wordsFile, "", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"); err != nil {
		return nil, err
	}
	vocab, err := parseWordList(source)
	if err != nil {
		return nil, err
	}
	cls, sep, err := s.bertSpecials(vocab)
	if err != nil {
		return nil, err
	}
	on := func(b *bool) bool { return b == nil || *b }
	doc := newDocument{
		normalizer: object{
			"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": on(s.chinese),
			"strip_accents": s.stripAccents, "lowercase": on(s.lowerCase),
		},
		pre:     object{"type": "BertPreTokenizer"},
		post:    templateObject(cls, sep),
		decoder: object{"type": "WordPiece", "prefix": "##", "cleanup": true},
		model:   wordPieceObject(vocab, s.unk),
	}
	return fromWords(doc, s, vocab)
}

// parseWordList reads vocab.txt: a token on each line, whose number is its id.
func parseWordList(source []byte) (map[string]int32, error) {
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(source), "\r\n", "\n"), "\n"), "\n")
	vocab := make(map[string]int32, len(lines))
	for id, token := range lines {
		if other, twice := vocab[token]; twice {
			return nil, fmt.Errorf("lines %d and %d are both %q", other+1, id+1, token)
		}
		vocab[token] = int32(id)
	}
	return vocab, nil
}

// bertSpecials adds BERT's special tokens, under the names that the settings have
// for them, and returns those that begin and end a text.
func (s *settings) bertSpecials(vocab map[string]int32) (cls, sep *addedToken, err error) {
	or := func(name, otherwise string) string {
		if name != "" {
			return name
		}
		return otherwise
	}
	s.unk, s.pad = or(s.unk, "[UNK]"), or(s.pad, "[PAD]")
	var tokens []*addedToken
	for _, token := range []string{or(s.cls, "[CLS]"), or(s.sep, "[SEP]"), s.unk, s.pad, or(s.mask, "[MASK]")} {
		id, ok := vocab[token]
		if !ok {
			return nil, nil, fmt.Errorf("the special token %q is not in the list", token)
		}
		a := addedToken{ID: id, Content: token, Special: true}
		s.added = append(s.added, a)
		tokens = append(tokens, &a)
	}
	return tokens[0], tokens[1], nil
}

func wordPieceObject(vocab any, unk string) object {
	return object{
		"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab,
	}
}
