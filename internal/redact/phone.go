package redact

import "strings"

// international looks for +CC… and returns the end of what it has found.
func international(text string, i int, add found) (end int) {
	if i > 0 && (isAlnum(text[i-1]) || strings.IndexByte("+)$%^*=", text[i-1]) >= 0) || i+1 == len(text) || !isDigit(text[i+1]) {
		return 0
	}
	if end = dial(text, i+1); end > 0 {
		add(Phone, i, end)
	}
	return end
}

// maxPhoneDigits is the limit of ITU-T E.164.
const maxPhoneDigits = 15

// dial reads the digits at i, country code first, with separators between their
// groups, and returns the end of the longest number that its country has.
func dial(text string, i int) (end int) {
	var digits [maxPhoneDigits]byte
	n := 0
	for n < maxPhoneDigits && i < len(text) && isDigit(text[i]) {
		digits[n] = text[i]
		n++
		i++
		if i < len(text) && isDigit(text[i]) {
			continue
		}
		if endsPhone(text, i) && isInternational(string(digits[:n])) {
			end = i
		}
		i = nextGroup(text, i)
	}
	return end
}

// nextGroup returns where the digits behind a separator begin, or i.
func nextGroup(text string, i int) int {
	k := i
	for _, trunk := range []string{" (0) ", " (0)", "(0)"} {
		if strings.HasPrefix(text[i:], trunk) {
			return i + len(trunk)
		}
	}
	if k < len(text) && text[k] == ')' {
		k++
	}
	if k < len(text) && strings.IndexByte(" -./", text[k]) >= 0 {
		k++
	}
	if k < len(text) && text[k] == '(' {
		k++
	}
	if k < len(text) && isDigit(text[k]) {
		return k
	}
	return i
}

// endsPhone is endsNumber for a number that may go on with other groups.
func endsPhone(text string, i int) bool {
	return i == len(text) || !isAlnum(text[i]) && text[i] != '_' && text[i] != '%'
}

// nationalDigits are the least and most digits behind some country codes; other
// countries have 7 to 12.
var nationalDigits = map[string][2]int{
	"1": {10, 10}, "7": {10, 10}, "27": {9, 9}, "30": {10, 10}, "31": {9, 9}, "32": {8, 9}, "33": {9, 9}, "34": {9, 9},
	"39": {8, 11}, "41": {9, 9}, "44": {9, 10}, "45": {8, 8}, "46": {7, 10}, "47": {8, 8}, "48": {9, 9}, "49": {6, 12},
	"52": {10, 11}, "55": {10, 11}, "61": {9, 9}, "65": {8, 8}, "81": {9, 10}, "82": {8, 11}, "86": {10, 11}, "90": {10, 10},
	"91": {10, 10}, "351": {9, 9}, "353": {7, 9}, "358": {6, 11},
}

// assigned holds the country codes of two digits and the first two digits of
// those of three, after ITU-T E.164.
const assigned = `20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 ` +
	`21: 22: 23: 24: 25: 26: 29: 35: 37: 38: 42: 50: 59: 67: 68: 69: 80: 85: 87: 88: 96: 97: 99:`

func isInternational(digits string) bool {
	if len(digits) < 8 || allSame(digits) {
		return false
	}
	code := digits[:1]
	switch {
	case code == "1":
		return len(digits) == 11 && isNANP(digits[1:])
	case code == "7":
	case strings.Contains(assigned, digits[:2]+" "):
		code = digits[:2]
	case strings.Contains(assigned, digits[:2]+":"):
		code = digits[:3]
	default:
		return false
	}
	limits, ok := nationalDigits[code]
	if !ok {
		limits = [2]int{7, 12}
	}
	n := len(digits) - len(code)
	return n >= limits[0] && n <= limits[1]
}

// isNANP checks ten digits of the North American Numbering Plan.
func isNANP(s string) bool {
	return s[0] >= '2' && s[1] != '9' && s[3] >= '2' && s[1:3] != "11" && s[4:6] != "11" && !allSame(s)
}

// areaInParentheses looks for (area) number and returns the end of what it has found.
func areaInParentheses(text string, i int, add found) (end int) {
	if i+1 == len(text) || !isDigit(text[i+1]) && text[i+1] != '+' || i > 0 && isAlnum(text[i-1]) {
		return 0
	}
	if text[i+1] == '+' {
		return 0 // found at the plus
	}
	for _, n := range nationals {
		if !strings.HasPrefix(n.shape, "(") {
			continue
		}
		if s, end := match(text, i, n.shape); end > 0 && endsNumber(text, end) && n.valid(s) {
			add(Phone, i, end)
			return end
		}
	}
	return 0
}
