package tokenizer

import "slices"

// llamaCppPre is one of llama.cpp's pre-tokenizers for byte-level vocabularies:
// text is cut at the matches of the expressions, one after the other.
type llamaCppPre struct {
	name         string // tokenizer.ggml.pre
	regexes      []string
	ignoreMerges bool
}

// llamaCppPres are the supported ones (llama.cpp, src/llama-vocab.cpp). Other
// names that it gives to the same expressions are read but not written.
var llamaCppPres = []llamaCppPre{
	{"gpt-2", []string{gpt2Regex}, false},
	{"llama-bpe", []string{llama3Regex}, true},
	{"qwen2", []string{qwen2Regex}, false},
	{"falcon", []string{"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Regex, `[0-9][0-9][0-9]`}, false},
	{"default", []string{`[\p{P}\$\+<=>\^~\|]+`, gpt2Regex, `\p{N}+`, `[0-9][0-9][0-9]`}, false},
}

// findPre returns the pre-tokenizer with a name; no name means "default".
func findPre(name string) (llamaCppPre, bool) {
	switch name {
	case "":
		name = "default"
	case "llama-v3", "llama3":
		name = "llama-bpe"
	}
	i := slices.IndexFunc(llamaCppPres, func(p llamaCppPre) bool { return p.name == name })
	if i < 0 {
		return llamaCppPre{}, false
	}
	return llamaCppPres[i], true
}

// object is the pre-tokenizer as tokenizer.json has it.
func (p llamaCppPre) object() object {
	if slices.Equal(p.regexes, []string{gpt2Regex}) {
		return byteLevelObject(true)
	}
	var steps []object
	for _, regex := range p.regexes {
		steps = append(steps, object{
			"type": "Split", "pattern": object{"Regex": regex}, "behavior": isolated, "invert": false,
		})
	}
	return object{"type": "Sequence", "pretokenizers": append(steps, byteLevelObject(false))}
}

// recognizePre returns the pre-tokenizer of llama.cpp that cuts as t does.
func recognizePre(t preTokenizer) (llamaCppPre, bool) {
	steps, ok := t.(preTokenizers)
	if !ok {
		steps = preTokenizers{t}
	}
	if len(steps) == 0 {
		return llamaCppPre{}, false
	}
	var regexes []string
	for _, step := range steps[:len(steps)-1] {
		s, ok := step.(split)
		if !ok || s.invert || s.behavior != isolated || s.source == "" {
			return llamaCppPre{}, false
		}
		if s.source == gpt2RegexShort {
			s.source = gpt2Regex
		}
		regexes = append(regexes, s.source)
	}
	last, ok := steps[len(steps)-1].(byteLevel)
	if !ok || last.addPrefixSpace {
		return llamaCppPre{}, false
	}
	if last.useRegex {
		regexes = append(regexes, gpt2Regex)
	}
	i := slices.IndexFunc(llamaCppPres, func(p llamaCppPre) bool { return slices.Equal(p.regexes, regexes) })
	if i < 0 {
		return llamaCppPre{}, false
	}
	return llamaCppPres[i], true
}
