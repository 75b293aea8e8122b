package jinja

import (
	"strings"
	"unicode"
)

// isSpace is Python's str.isspace, which counts the four separators of ASCII
// (0x1c to 0x1f) that Unicode's White_Space does not.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }

// isLineEnd is what str.splitlines cuts at.
func isLineEnd(c rune) bool {
	switch c {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

func isAlpha(c rune) bool   { return unicode.IsLetter(c) }
func isDecimal(c rune) bool { return unicode.Is(unicode.Nd, c) }

// isDigit counts superscripts and circled digits too (Numeric_Type=Digit).
func isDigit(c rune) bool {
	return isDecimal(c) || unicode.Is(digits, c)
}

func isNumeric(c rune) bool { return unicode.IsNumber(c) || unicode.Is(numericHan, c) }

var digits = &unicode.RangeTable{R16: []unicode.Range16{
	{0xb2, 0xb3, 1}, {0xb9, 0xb9, 1}, {0x1369, 0x1371, 1}, {0x19da, 0x19da, 1}, {0x2070, 0x2070, 1}, {0x2074, 0x2079, 1},
	{0x2080, 0x2089, 1}, {0x2460, 0x2468, 1}, {0x2474, 0x247c, 1}, {0x2488, 0x2490, 1}, {0x24ea, 0x24ea, 1},
	{0x24f5, 0x24fd, 1}, {0x24ff, 0x24ff, 1}, {0x2776, 0x277e, 1}, {0x2780, 0x2788, 1}, {0x278a, 0x2792, 1},
}, R32: []unicode.Range32{{0x10a40, 0x10a43, 1}, {0x10e60, 0x10e68, 1}, {0x11052, 0x1105a, 1}, {0x1f100, 0x1f10a, 1}}, LatinOffset: 2}

// numericHan are the commonest ideographs with a numeric value.
var numericHan = &unicode.RangeTable{R16: []unicode.Range16{
	{0x4e00, 0x4e00, 1}, {0x4e03, 0x4e03, 1}, {0x4e07, 0x4e07, 1}, {0x4e09, 0x4e09, 1}, {0x4e5d, 0x4e5d, 1}, {0x4e8c, 0x4e8c, 1},
	{0x4e94, 0x4e94, 1}, {0x5104, 0x5104, 1}, {0x5146, 0x5146, 1}, {0x516b, 0x516b, 1}, {0x516d, 0x516d, 1}, {0x5341, 0x5341, 1},
	{0x5343, 0x5343, 1}, {0x56db, 0x56db, 1}, {0x767e, 0x767e, 1}, {0x842c, 0x842c, 1},
}}

func isIdentifier(s string) bool {
	for i, c := range s {
		if c != '_' && !unicode.IsLetter(c) && !unicode.Is(unicode.Nl, c) && (i == 0 || !unicode.In(c, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc)) {
			return false
		}
	}
	return s != ""
}

func isCased(c rune) bool { return unicode.IsLower(c) || unicode.IsUpper(c) || unicode.IsTitle(c) }

func isLowerText(s string) bool {
	return strings.IndexFunc(s, unicode.IsLower) >= 0 && strings.IndexFunc(s, func(c rune) bool { return unicode.IsUpper(c) || unicode.IsTitle(c) }) < 0
}

func isUpperText(s string) bool {
	return strings.IndexFunc(s, unicode.IsUpper) >= 0 && strings.IndexFunc(s, func(c rune) bool { return unicode.IsLower(c) || unicode.IsTitle(c) }) < 0
}

func isTitleText(s string) bool {
	cased, any := false, false
	for _, c := range s {
		if isCased(c) && cased == (unicode.IsUpper(c) || unicode.IsTitle(c)) {
			return false
		}
		cased = isCased(c)
		any = any || cased
	}
	return any
}

// titled begins every run of cased letters with a capital.
func titled(s string) string {
	var b strings.Builder
	start, cased := 0, false
	flush := func(end int) {
		if end > start {
			b.WriteString(capitalized(s[start:end]))
		}
		start = end
	}
	for i, c := range s {
		if isCased(c) && !cased {
			b.WriteString(s[start:i])
			start = i
		}
		if !isCased(c) && cased {
			flush(i)
		}
		cased = isCased(c)
	}
	if cased {
		flush(len(s))
	}
	b.WriteString(s[start:])
	return b.String()
}

// capitalized gives the first character its title case and the rest lower case.
func capitalized(s string) string {
	for i, c := range s {
		if i > 0 {
			return titleFirst(s[:i]) + lower(s)[len(lower(s[:i])):]
		}
		_ = c
	}
	return titleFirst(s)
}

// titleFirst is the title case of one character: "ß" gives "Ss".
func titleFirst(s string) string {
	t := strings.ToTitle(s)
	if t == s {
		if u := []rune(upper(s)); len(u) > 1 {
			return string(u[:1]) + lower(string(u[1:]))
		}
	}
	return t
}

func swapCase(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsUpper(c) {
			b.WriteString(lower(string(c)))
		} else {
			b.WriteString(upper(string(c)))
		}
	}
	return b.String()
}
