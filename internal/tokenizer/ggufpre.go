package tokenizer

import "slices"

// findPre returns the pre-tokenizer with a name; no name means "default".
func findPre(name string) (llamaCppPre, bool) {
	if name == "" {
		name = "default"
	}
	i := slices.IndexFunc(llamaCppPres, func(p llamaCppPre) bool { return slices.Contains(p.names, name) })
	if i < 0 {
		return llamaCppPre{}, false
	}
	return llamaCppPres[i], true
}

// PreAddsBOS reports whether llama.cpp puts BOS before a text if a GGUF file with
// this tokenizer.ggml.pre does not say.
func PreAddsBOS(pre string) bool {
	p, _ := findPre(pre)
	return p.addBOS
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
		regex, ok := isolatedRegex(step)
		if !ok {
			return llamaCppPre{}, false
		}
		regexes = append(regexes, regex)
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

// isolatedRegex returns the expression whose matches a step keeps as words of
// their own.
func isolatedRegex(step preTokenizer) (string, bool) {
	switch s := step.(type) {
	case split:
		switch {
		case s.source == "" || s.pattern.scan == nil && (s.invert || s.behavior != isolated):
			return "", false
		case s.invert && s.behavior != removed || !s.invert && s.behavior != isolated:
			return "", false
		case s.source == gpt2RegexShort:
			return gpt2Regex, true
		}
		return s.source, true
	case digits:
		if s.individual {
			return `\p{N}`, true
		}
		return `\p{N}+`, true
	}
	return "", false
}
