package redact

import "strings"

// The functions here take the digits and capital letters of a number whose shape
// was matched.

func isSSN(s string) bool {
	// Areas from 900 on are tax numbers of persons without a social security one.
	area, group := s[:3], integer(s[3:5])
	if area == "000" || area == "666" || group == 0 || s[5:] == "0000" || allSame(s) {
		return false
	}
	return s[0] != '9' || group >= 50 && group != 66 && group != 89 && group != 93
}

func isNINO(s string) bool {
	return strings.IndexByte("DFIQUV", s[0]) < 0 && strings.IndexByte("DFIOQUV", s[1]) < 0 &&
		s[8] <= 'D' && !strings.Contains("BG GB KN NK NT TN ZZ", s[:2])
}

func isNIR(s string) bool {
	month := integer(s[3:5])
	if s[0] != '1' && s[0] != '2' || month == 0 || month > 12 && month < 20 || month > 42 && month < 50 {
		return false
	}
	n := 0
	switch department := s[5:7]; {
	case department == "2A":
		n = integer(s[:5] + "19" + s[7:13])
	case department == "2B":
		n = integer(s[:5] + "18" + s[7:13])
	case isDigit(s[5]) && isDigit(s[6]):
		n = integer(s[:13])
	default:
		return false
	}
	return 97-n%97 == integer(s[13:])
}

const letters23 = "TRWAGMYFPDXBNJZSQVHLCKE"

func isDNI(s string) bool { return letters23[integer(s[:8])%23] == s[8] }

func isNIE(s string) bool {
	return s[0] >= 'X' && s[0] <= 'Z' && letters23[(int(s[0]-'X')*10_000_000+integer(s[1:8]))%23] == s[8]
}

// isCodiceFiscale checks the last letter after the decree of 23 December 1976;
// digits may be replaced by letters where two persons would have the same.
func isCodiceFiscale(s string) bool {
	const odd = "BAKPLCQDREVOSFTGUHMINJWZYX" // the letters by their value in odd places
	sum := 0
	for i := range 15 {
		c := int(s[i] - 'A')
		if isDigit(s[i]) {
			c = int(s[i] - '0')
		}
		if i%2 == 0 {
			c = strings.IndexByte(odd, byte('A'+c))
		}
		sum += c
	}
	return byte('A'+sum%26) == s[15] && strings.IndexByte("ABCDEHLMPRST", s[8]) >= 0
}

// modulo11 is the check digit of a weighted sum in several countries.
func modulo11(sum int) int {
	if sum%11 < 2 {
		return 0
	}
	return 11 - sum%11
}

func isCPF(s string) bool {
	return !allSame(s) && modulo11(descending(s, 9, 10)) == int(s[9]-'0') &&
		modulo11(descending(s, 10, 11)) == int(s[10]-'0')
}

func isPESEL(s string) bool {
	month := integer(s[2:4]) % 20 // the century is added to it
	return month >= 1 && month <= 12 && isDate(s[4:6], "01") &&
		(weighted(s, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)+int(s[10]-'0'))%10 == 0
}

// isSteuerID checks that of the first ten digits one comes twice or thrice and
// the others once at most, and the check digit.
func isSteuerID(s string) bool {
	repeated := 0
	for c := byte('0'); c <= '9'; c++ {
		switch n := strings.Count(s[:10], string(c)); {
		case n > 3:
			return false
		case n > 1:
			repeated++
		}
	}
	return s[0] != '0' && repeated == 1 && iso11_10(s)
}

func isPersonnummer(s string) bool {
	s = s[len(s)-10:]
	day := integer(s[4:6])
	if day > 60 { // a samordningsnummer
		day -= 60
	}
	month := integer(s[2:4])
	return day >= 1 && day <= 31 && month >= 1 && month <= 12 && luhn(s)
}

func isFodselsnummer(s string) bool {
	day := integer(s[:2]) % 40 // a D-nummer has 40 more
	month := integer(s[2:4])
	return day >= 1 && day <= 31 && month >= 1 && month <= 12 &&
		(weighted(s, 3, 7, 6, 1, 8, 9, 4, 5, 2)+int(s[9]-'0'))%11 == 0 &&
		(weighted(s, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)+int(s[10]-'0'))%11 == 0
}

func isHetu(s string) bool {
	// A letter for the century, of those issued since 2023 too, or a dash or plus.
	if len(s) == 11 {
		if strings.IndexByte("ABCDEFYXWVU", s[6]) < 0 {
			return false
		}
		s = s[:6] + s[7:]
	}
	return isDate(s[:2], s[2:4]) && "0123456789ABCDEFHJKLMNPRSTUVWXY"[integer(s[:9])%31] == s[9]
}

func isAadhaar(s string) bool { return s[0] >= '2' && !allSame(s) && verhoeff(s) }

func isIndividualJP(s string) bool {
	return !allSame(s) && modulo11(weighted(s, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) == int(s[11]-'0')
}

func isResidentCN(s string) bool {
	year := integer(s[6:10])
	return s[0] != '0' && year >= 1850 && year < 2100 && isDate(s[12:14], s[10:12]) &&
		"10X98765432"[weighted(s, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11] == s[17]
}

// isResidentKR checks the form; numbers issued since October 2020 have no checksum.
func isResidentKR(s string) bool { return isDate(s[4:6], s[2:4]) && s[6] >= '1' && s[6] <= '8' }

func isIdentityZA(s string) bool {
	return isDate(s[4:6], s[2:4]) && s[10] <= '2' && s[11] >= '8' && luhn(s)
}

func isAHV(s string) bool {
	return s[:3] == "756" && (weighted(s, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3)+int(s[12]-'0'))%10 == 0
}

func isNationalBE(s string) bool {
	check := integer(s[9:])
	return isDate(s[4:6], s[2:4]) && (97-integer(s[:9])%97 == check || 97-integer("2"+s[:9])%97 == check)
}

func isKimlik(s string) bool {
	odd := weighted(s, 1, 0, 1, 0, 1, 0, 1, 0, 1)
	even := weighted(s, 0, 1, 0, 1, 0, 1, 0, 1)
	return s[0] != '0' && (odd*7-even+100)%10 == int(s[9]-'0') && (odd+even+int(s[9]-'0'))%10 == int(s[10]-'0')
}

func isRUT(s string) bool {
	sum, n := 0, len(s)-1
	for i := range n {
		if !isDigit(s[n-1-i]) {
			return false
		}
		sum += (2 + i%6) * int(s[n-1-i]-'0')
	}
	return !allSame(s) && "0K987654321"[sum%11] == s[n]
}

func isPPSN(s string) bool {
	sum := descending(s, 7, 8)
	if len(s) == 9 && s[8] != 'W' {
		sum += 9 * int(s[8]-'A'+1)
	}
	return "WABCDEFGHIJKLMNOPQRSTUV"[sum%23] == s[7]
}

func isCURP(s string) bool {
	const alphabet = "0123456789ABCDEFGHIJKLMN\x00OPQRSTUVWXYZ" // Ñ has the place of \x00
	sum := 0
	for i := range 17 {
		sum += (18 - i) * strings.IndexByte(alphabet, s[i])
	}
	return isDate(s[8:10], s[6:8]) && strings.IndexByte("HMX", s[10]) >= 0 && (10-sum%10)%10 == int(s[17]-'0')
}
