package refine

import (
	"regexp"
	"strings"
)

var (
	latexFraction = regexp.MustCompile(`\\[dt]?frac ?\{ ?(-?)(\d{1,400}) ?\} ?\{ ?(\d{1,400}) ?\}`)
	latexPower    = regexp.MustCompile(`10 ?\^ ?\{ ?([+-]?\d{1,6}) ?\}`)
	plainText     = strings.NewReplacer(`{,}`, ",", `\,`, "\u202f", `\!`, "", `\$`, "$", `\%`, "%", `\times`, "×", `\cdot`, "×",
		"½", " 1/2", "⅓", " 1/3", "⅔", " 2/3", "¼", " 1/4", "¾", " 3/4", "⅕", " 1/5", "⅛", " 1/8", "⁄", "/")
)

// plain writes a text's numbers in one way: ASCII digits, a hyphen as minus,
// U+202F for every space that groups digits, LaTeX commands resolved.
func plain(text string) string {
	if strings.Contains(text, `\`) {
		text = latexFraction.ReplaceAllString(text, " $1$2/$3 ")
		text = latexPower.ReplaceAllString(text, "10^$1")
	}
	return strings.Map(plainRune, plainText.Replace(text))
}

// plainRune maps other digits and signs to the ASCII ones.
func plainRune(r rune) rune {
	if r < 0x80 {
		return r
	}
	switch r {
	case '−', '﹣', '－', '‑':
		return '-'
	case '\u00a0', '\u2009', '\u202f':
		return '\u202f'
	case '٫', '．':
		return '.'
	case '٬', '，':
		return ','
	case '٪', '％', '﹪':
		return '%'
	case '＄':
		return '$'
	case '’':
		return '\''
	}
	for _, zero := range []rune{'٠', '۰', '०', '০', '０'} {
		if r >= zero && r < zero+10 {
			return '0' + r - zero
		}
	}
	return r
}
