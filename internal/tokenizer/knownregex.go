package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The regular expressions of byte-level vocabularies. All end with
// \s+(?!\S)|\s+, which RE2 cannot express, so they are written by hand.
const (
	gpt2Regex = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	// gpt2RegexShort is the same expression as tiktoken writes it.
	gpt2RegexShort = `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3Regex    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Regex     = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var knownRegexes = map[string]scanner{
	gpt2Regex:      scanGPT2,
	gpt2RegexShort: scanGPT2,
	llama3Regex:    func(s string) int { return scanLlama3(s, 3) },
	qwen2Regex:     func(s string) int { return scanLlama3(s, 1) },
}

func isOther(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}

// run returns the length of the characters at the start of s that are in the class.
func run(s string, in func(rune) bool) int {
	for i, r := range s {
		if !in(r) {
			return i
		}
	}
	return len(s)
}

// contraction matches 's|'t|'re|'ve|'m|'ll|'d. With fold it ignores case as
// Unicode does, where ſ (U+017F) is an s.
func contraction(s string, fold bool) int {
	if s[0] != '\'' {
		return 0
	}
	for _, c := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		if strings.HasPrefix(s, c) || fold && len(s) >= len(c) && strings.EqualFold(s[:len(c)], c) {
			return len(c)
		}
	}
	if fold && strings.HasPrefix(s, "'ſ") {
		return len("'ſ")
	}
	return 0
}

// trailingSpace matches \s+(?!\S)|\s+ at the start of s, where white space is n
// bytes long: all of it at the end of the text, else all but its last character.
func trailingSpace(s string, n int) int {
	if n == len(s) {
		return n
	}
	if _, last := utf8.DecodeLastRuneInString(s[:n]); last < n {
		return n - last
	}
	return n
}

func scanGPT2(s string) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	skip := 0
	if s[0] == ' ' {
		skip = 1
	}
	for _, class := range [...]func(rune) bool{unicode.IsLetter, unicode.IsNumber, isOther} {
		if n := run(s[skip:], class); n > 0 {
			return skip + n
		}
	}
	return trailingSpace(s, run(s, unicode.IsSpace))
}

// scanLlama3 matches the expression of Llama 3, or with digits = 1 that of Qwen2.
func scanLlama3(s string, digits int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	first, size := utf8.DecodeRuneInString(s)
	if unicode.IsLetter(first) {
		return run(s, unicode.IsLetter)
	}
	if unicode.IsNumber(first) {
		count := 0
		return run(s, func(r rune) bool { count++; return count <= digits && unicode.IsNumber(r) })
	}
	if first != '\r' && first != '\n' {
		if n := run(s[size:], unicode.IsLetter); n > 0 {
			return size + n
		}
	}
	skip := 0
	if first == ' ' {
		skip = 1
	}
	if n := run(s[skip:], isOther); n > 0 {
		n += skip
		return n + run(s[n:], func(r rune) bool { return r == '\r' || r == '\n' })
	}
	n := run(s, unicode.IsSpace)
	if newline := strings.LastIndexAny(s[:n], "\r\n"); newline >= 0 {
		return newline + 1
	}
	return trailingSpace(s, n)
}
