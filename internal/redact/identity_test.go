package redact

import (
	"strings"
	"testing"
)

// published are numbers that authorities and encyclopedias give as examples, by
// the name in identities; those of one letter or digit changed must fail, but for
// the share of changes that the checksum does not see or that is none.
var published = map[string]struct {
	number string
	missed int // how many of the changes of one character pass
}{
	"CN resident identity number":     {"11010519491231002X", 0},
	"FR numéro de sécurité sociale":   {"184127645108946", 0},
	"CH AHV number":                   {"7569217076985", 0},
	"ZA identity number":              {"8001015009087", 0},
	"BR CPF":                          {"52998224725", 0},
	"BE national number":              {"85073003328", 0},
	"SE personnummer":                 {"8112289874", 0},
	"NO fødselsnummer":                {"13097248022", 0},
	"FI henkilötunnus":                {"131052308T", 0},
	"IN Aadhaar":                      {"234123412346", 0},
	"JP individual number":            {"123456789018", -1},
	"DE Steuer-ID":                    {"86095742719", 0},
	"PL PESEL":                        {"44051401359", 0},
	"TR kimlik":                       {"10000000146", 0},
	"NL BSN":                          {"111222333", 0},
	"CA SIN":                          {"130692544", 0},
	"PT NIF":                          {"123456789", -1},
	"AU tax file number":              {"123456782", 0},
	"UK NHS number":                   {"9434765919", 0},
	"CL RUT":                          {"123456785", 0},
	"ES DNI":                          {"12345678Z", 0},
	"ES NIE":                          {"X1234567L", 0},
	"IE PPSN":                         {"1234567FA", -1},
	"IT codice fiscale":               {"RSSMRA85T10A562S", 0},
	"MX CURP":                         {"BOXW310820HNERXN09", -1},
	"UK national insurance number":    {"AB123456C", -1}, // no checksum
	"US social security number":       {"219099999", -1}, // no checksum
	"KR resident registration number": {"9001011234567", -1},
}

func TestIdentityChecks(t *testing.T) {
	seen := 0
	for _, id := range identities {
		example, ok := published[id.name]
		if !ok {
			continue
		}
		seen++
		if !id.valid(example.number) {
			t.Errorf("%s: %s is not valid", id.name, example.number)
		}
		if example.missed >= 0 {
			checkChanges(t, id, example.number)
		}
	}
	if seen != len(published) {
		t.Errorf("%d of %d names are known", seen, len(published))
	}
}

// checkChanges wants every change of one digit to be seen.
func checkChanges(t *testing.T, id identity, number string) {
	t.Helper()
	for i := range number {
		if !isDigit(number[i]) {
			continue
		}
		for c := byte('0'); c <= '9'; c++ {
			changed := number[:i] + string(c) + number[i+1:]
			if changed != number && id.valid(changed) {
				t.Errorf("%s: %s passes, as %s does", id.name, changed, number)
			}
		}
	}
}

// TestNumbersOfOneDigitChanged wants Luhn and mod 97 to see every one.
func TestNumbersOfOneDigitChanged(t *testing.T) {
	find := map[string]func(string, int) int{Card: card, IBAN: iban}
	for kind, numbers := range map[string][]string{
		Card: {"4111111111111111", "5555-5555-5555-4444", "3782 822463 10005", "6011111111111117", "2223003122003222", "4222222222222"},
		IBAN: {"GB82WEST12345698765432", "DE89 3704 0044 0532 0130 00", "FR14 2004 1010 0505 0001 3M02 606", "NO9386011117947"},
	} {
		for _, number := range numbers {
			if end := find[kind](number, 0); end != len(number) {
				t.Errorf("%s %s: end %d", kind, number, end)
			}
			for i := range number {
				if !isDigit(number[i]) {
					continue
				}
				for c := byte('0'); c <= '9'; c++ {
					changed := number[:i] + string(c) + number[i+1:]
					if changed != number && find[kind](changed, 0) == len(number) {
						t.Errorf("%s: %s passes, as %s does", kind, changed, number)
					}
				}
			}
		}
	}
}

// TestEveryCutOfNumbers wants no detector to read beyond a text's end.
func TestEveryCutOfNumbers(t *testing.T) {
	text := "00:1a:2b:3c:4d:5e 001a.2b3c.4d5e GB82 WEST 1234 5698 7654 32 +44 (0)20 7946 0958 (212) 555-0123 4111 1111 1111 1111 " +
		"AB 12 34 56 C eyJhbGciOi.eyJzdWIi.x -----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY----- https://a:b@c.de pwd=\"x\\\"y1234\" bearer abcdef0123456789 sk-a::1 fe80::1%e 0049 30 1"
	for i := range text {
		for _, part := range []string{text[:i], text[i:], text[i:min(len(text), i+9)]} {
			scan(part, func(kind string, start, end int) {
				if start < 0 || start > end || end > len(part) {
					t.Fatalf("%s from %d to %d in %q", kind, start, end, part)
				}
			})
		}
	}
}

func TestShapesFit(t *testing.T) {
	for _, id := range identities {
		for _, shape := range id.shapes {
			if n := strings.Count(shape, "d") + strings.Count(shape, "a") + strings.Count(shape, "x"); n > maxShape || n < 7 {
				t.Errorf("%s: %s has %d characters", id.name, shape, n)
			}
		}
	}
	for _, n := range nationals {
		if digits := strings.Count(n.shape, "d"); digits > maxPhoneDigits || digits < 7 {
			t.Errorf("%s has %d digits", n.shape, digits)
		}
	}
}
