package redact

import "strings"

// ibanLengths are the lengths of the IBAN registry (ISO 13616, SWIFT release 99).
var ibanLengths = func() map[string]int {
	lengths := map[string]int{}
	for length, countries := range map[int]string{
		15: "NO", 16: "BE", 18: "DK FK FO FI GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN",
		21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
		24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
		28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
	} {
		for country := range strings.FieldsSeq(countries) {
			lengths[country] = length
		}
	}
	return lengths
}()

// iban returns the end of the IBAN at i, 0 if there is none.
func iban(text string, i int) int {
	if i+15 > len(text) || isDigit(text[i]) || !isAlnum(text[i+1]) || isDigit(text[i+1]) {
		return 0
	}
	k := i + 2
	if text[k] == ' ' {
		k++
	}
	if !isDigit(text[k]) || !isDigit(text[k+1]) {
		return 0
	}
	length := ibanLengths[strings.ToUpper(text[i:i+2])]
	end, remainder := i, 0
	var compact [34]byte
	for n := 0; n < length; end++ {
		switch {
		case end == len(text):
			return 0
		case isAlnum(text[end]):
			compact[n] = text[end]
			n++
		case (text[end] == ' ' || text[end] == '-') && isAlnum(text[end-1]):
		default:
			return 0
		}
	}
	if length == 0 || end < len(text) && isAlnum(text[end]) {
		return 0
	}
	for n := range length {
		switch c := compact[(n+4)%length]; {
		case isDigit(c):
			remainder = (remainder*10 + int(c-'0')) % 97
		default:
			remainder = (remainder*100 + int(c|0x20-'a') + 10) % 97
		}
	}
	if remainder != 1 {
		return 0
	}
	return end
}
