package redact

import "strings"

// national is a notation of phone numbers within countries.
type national struct {
	shape string
	topic bool // a word like phone must be near
	valid func(digits string) bool
}

func startsWith(prefixes ...string) func(string) bool {
	return func(s string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(s, p) {
				return !allSame(s[1:])
			}
		}
		return false
	}
}

// trunk are numbers with the trunk prefix 0 and an area code.
var trunk = startsWith("01", "02", "03", "04", "05", "06", "07", "08", "09")

var nationals = []national{
	// North America.
	{"(ddd) ddd-dddd", false, isNANP}, {"(ddd)ddd-dddd", false, isNANP}, {"(ddd) ddd dddd", false, isNANP}, {"(ddd) ddd.dddd", false, isNANP},
	{"ddd-ddd-dddd", false, isNANP}, {"ddd.ddd.dddd", false, isNANP}, {"ddd/ddd-dddd", false, isNANP},
	{"d-ddd-ddd-dddd", false, func(s string) bool { return s[0] == '1' && isNANP(s[1:]) }},
	{"d (ddd) ddd-dddd", false, func(s string) bool { return s[0] == '1' && isNANP(s[1:]) }},
	{"d ddd ddd dddd", true, func(s string) bool { return s[0] == '1' && isNANP(s[1:]) }},
	{"ddd ddd dddd", true, isNANP}, {"dddddddddd", true, isNANP},
	{"ddd-dddd", true, func(s string) bool { return s[0] >= '2' }},
	// United Kingdom.
	{"ddd dddd dddd", false, startsWith("02")}, {"dddd ddd dddd", false, startsWith("01", "03", "07", "08")},
	{"ddddd dddddd", false, startsWith("01", "07")}, {"ddddd ddd ddd", false, startsWith("01", "07")}, {"dddd dddddd", false, startsWith("0800", "0845")},
	{"(ddd) dddd dddd", false, startsWith("02")}, {"(dddd) ddd dddd", false, trunk}, {"(ddddd) dddddd", false, trunk},
	{"ddd-dddd-dddd", false, startsWith("02", "01", "07", "08", "09")}, {"dddd-ddd-dddd", false, startsWith("01", "03", "07", "08")}, {"ddddd-dddddd", false, startsWith("01", "07")},
	// France, Belgium.
	{"dd dd dd dd dd", false, trunk}, {"dd.dd.dd.dd.dd", false, trunk}, {"dd-dd-dd-dd-dd", false, trunk},
	{"dddd dd dd dd", false, startsWith("04")}, {"ddd dd dd dd", false, startsWith("0", "6", "7", "8", "9")}, {"dddd/dd.dd.dd", false, trunk}, {"dd/ddd.dd.dd", false, trunk},
	// Germany, Austria, Switzerland.
	{"ddd/dddddddd", false, trunk}, {"ddd/ddddddd", false, trunk}, {"dddd/dddddddd", false, trunk}, {"dddd/ddddddd", false, trunk}, {"dddd/dddddd", false, trunk},
	{"ddd dddddddd", false, trunk}, {"ddd ddddddd", false, trunk}, {"dddd dddddddd", false, startsWith("01", "07")}, {"dddd ddddddd", false, startsWith("01", "07")},
	{"ddd-dddddddd", false, trunk}, {"dddd-ddddddd", false, startsWith("01")}, {"dddd-dddddddd", false, startsWith("01")}, {"dddd ddd dddd", false, startsWith("01")},
	{"(ddd) dddddddd", false, trunk}, {"(ddd) ddddddd", false, trunk}, {"(dddd) dddddd", false, trunk}, {"(dddd) ddddddd", false, trunk},
	{"ddd ddd dd dd", false, trunk}, {"ddd dddd ddd", false, startsWith("06")}, {"dddd ddd ddd", false, startsWith("04", "06")}, {"ddddd dddddd", false, trunk},
	{"ddd ddd dd dd", true, startsWith("5")}, {"dddd ddd dd dd", false, startsWith("05")},
	// Netherlands.
	{"dd-dddddddd", false, startsWith("06")}, {"dd dddddddd", false, startsWith("06")}, {"ddd-ddddddd", false, trunk}, {"dddd-dddddd", false, trunk}, {"dd-dd-dd-dd-dd", false, trunk},
	{"ddd-ddd-dddd", false, trunk}, {"ddd ddd dddd", false, startsWith("01", "02", "03", "04", "07", "08")},
	// Italy.
	{"dd dddd dddd", false, startsWith("02", "06")}, {"dd ddddddd", false, startsWith("02", "06")}, {"dd-dddddddd", false, startsWith("02")}, {"ddd dddddd", true, trunk},
	{"ddd ddddddd", true, startsWith("3")}, {"ddd ddd dddd", true, startsWith("3")}, {"ddd-ddddddd", true, startsWith("3")}, {"ddd dd dd ddd", true, startsWith("3")},
	// Spain, Portugal, Poland.
	{"ddd ddd ddd", true, startsWith("5", "6", "7", "8", "9")}, {"ddd-ddd-ddd", true, startsWith("5", "6", "7", "8", "9")},
	// Asia, Oceania, Brazil.
	{"dd-dddd-dddd", false, trunk}, {"ddd-dddd-dddd", false, startsWith("13", "14", "15", "16", "17", "18", "19")}, {"ddd dddd dddd", false, startsWith("13", "15", "17", "18", "19")},
	{"ddddd ddddd", true, startsWith("6", "7", "8", "9")}, {"ddddddddddd", true, startsWith("13", "14", "15", "16", "17", "18", "19")},
	{"(dd) dddd dddd", false, trunk}, {"(dd) ddddd-dddd", false, startsWith("1", "2", "3", "4", "5", "6", "7", "8", "9")}, {"(dd) dddd-dddd", false, startsWith("1", "2", "3", "4", "5", "6", "7", "8", "9")},
	{"dd dddd dddd", false, trunk}, {"dddd ddd ddd", false, startsWith("04", "1800", "1300")},
	// Without separators, everywhere.
	{"ddddddddddd", true, trunk}, {"dddddddddd", true, trunk}, {"ddddddddd", true, startsWith("0", "6", "7", "8", "9")}, {"dddddddddddd", true, trunk},
}

// nationalPhone returns the end of the phone number at i in a notation without
// a plus, 0 if there is none.
func nationalPhone(text string, i int) int {
	if strings.HasPrefix(text[i:], "00") && i+2 < len(text) && !isPair(text, i-3) {
		k := i + 2
		if text[k] == ' ' {
			k++
		}
		if k < len(text) && isDigit(text[k]) && text[k] != '0' {
			end := dial(text, k)
			if end > 0 && (topicOf(text, i, end) == phoneTopic || strings.IndexByte(text[i:end], ' ') > 0) {
				return end
			}
		}
		return 0
	}
	best, about := 0, topic(-1)
	for _, n := range nationals {
		s, end := match(text, i, n.shape)
		if end <= best || !endsNumber(text, end) || !n.valid(s) || amidPairs(text, i, end, n.shape) {
			continue
		}
		if about < 0 {
			about = topicOf(text, i, end)
		}
		if about == phoneTopic || !n.topic && about != otherTopic && about != versionTopic {
			best = end
		}
	}
	return best
}

// amidPairs tells whether the five pairs of digits from i to end are some of more
// pairs, as in a dump of bytes.
func amidPairs(text string, i, end int, shape string) bool {
	if !strings.HasPrefix(shape, "dd") || len(shape) != len("dd dd dd dd dd") || shape[2] == 'd' {
		return false
	}
	return isPair(text, i-3) || isPair(text, end+1)
}

// isPair tells whether two hexadecimal digits stand alone at i.
func isPair(text string, i int) bool {
	return i >= 0 && i+2 <= len(text) && isHex(text[i]) && isHex(text[i+1]) &&
		(i == 0 || !isAlnum(text[i-1])) && (i+2 == len(text) || !isAlnum(text[i+2]))
}
