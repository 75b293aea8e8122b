package eval

import (
	"strconv"
	"strings"
	"unicode"
)

// visible makes a foreign text safe for one line of a terminal: what does not print
// (line breaks, escape sequences, marks that reverse the direction of reading) shows as
// its Go escape.
func visible(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return out.String()
}

// markdownSpecial are the characters that can end a table cell or start markup, a link,
// a mention or HTML somewhere in a line. They are written as numeric entities, which no renderer reads as
// markup. A backslash escape of | would be undone by the table writer's own.
const markdownSpecial = "\\`*[]<>&|#~!$@"

// markdownText is visible for Markdown, in a table cell or inside a sentence.
func markdownText(text string) string {
	runes := []rune(visible(text))
	var out strings.Builder
	for i, r := range runes {
		switch {
		case strings.ContainsRune(markdownSpecial, r),
			r == '_' && !insideWord(runes, i),
			r == ':' && i+2 < len(runes) && runes[i+1] == '/' && runes[i+2] == '/',
			r == '.' && i >= 3 && strings.EqualFold(string(runes[i-3:i]), "www"):
			out.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// insideWord says that a letter or digit stands on both sides, where Markdown takes an
// underscore literally: q4_k_m stays readable.
func insideWord(runes []rune, i int) bool {
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return i > 0 && i+1 < len(runes) && word(runes[i-1]) && word(runes[i+1])
}
