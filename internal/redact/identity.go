package redact

import "strings"

// identity is one kind of national number of persons.
type identity struct {
	name   string
	shapes []string
	topic  topic // a word that must be near, because the form and checksum are weak
	valid  func(s string) bool
}

// identities are read in this order. The checks are those that the issuing
// authorities publish.
var identities = []identity{
	{"CN resident identity number", []string{"dddddddddddddddddx"}, noTopic, isResidentCN},
	{"FR numéro de sécurité sociale", []string{"d?dd?dd?xx?ddd?ddd?dd"}, noTopic, isNIR},
	{"CH AHV number", []string{"ddd.dddd.dddd.dd", "ddddddddddddd"}, noTopic, isAHV},
	{"KR resident registration number", []string{"dddddd-ddddddd"}, noTopic, isResidentKR},
	{"ZA identity number", []string{"ddddddddddddd", "dddddd dddd ddd"}, noTopic, isIdentityZA},
	{"BR CPF", []string{"ddd.ddd.ddd-dd"}, noTopic, isCPF},
	{"BR CPF, bare", []string{"ddddddddddd"}, identityTopic, isCPF},
	{"BE national number", []string{"dd.dd.dd-ddd.dd"}, noTopic, isNationalBE},
	{"BE national number, bare", []string{"ddddddddddd"}, identityTopic, isNationalBE},
	{"SE personnummer", []string{"dddddd-dddd", "dddddd+dddd", "dddddddd-dddd"}, noTopic, isPersonnummer},
	{"SE personnummer, bare", []string{"dddddddddddd", "dddddddddd"}, identityTopic, isPersonnummer},
	{"NO fødselsnummer", []string{"dddddd?ddddd"}, noTopic, isFodselsnummer},
	{"DK CPR number", []string{"dddddd-dddd"}, identityTopic, func(s string) bool { return isDate(s[:2], s[2:4]) }},
	{"FI henkilötunnus", []string{"dddddd-dddx", "dddddd+dddx", "ddddddadddx"}, noTopic, isHetu},
	{"IN Aadhaar", []string{"dddd dddd dddd", "dddd-dddd-dddd"}, noTopic, isAadhaar},
	{"IN Aadhaar, bare", []string{"dddddddddddd"}, identityTopic, isAadhaar},
	{"JP individual number", []string{"dddd?dddd?dddd"}, identityTopic, isIndividualJP},
	{"US social security number", []string{"ddd-dd-dddd"}, noTopic, isSSN},
	{"US social security number, bare", []string{"ddd?dd?dddd"}, securityTopic, isSSN},
	{"DE Steuer-ID", []string{"dd?ddd?ddd?ddd"}, identityTopic, isSteuerID},
	{"PL PESEL", []string{"ddddddddddd"}, identityTopic, isPESEL},
	{"TR kimlik", []string{"ddddddddddd"}, identityTopic, isKimlik},
	{"NL BSN", []string{"dddd?dd?ddd"}, identityTopic, func(s string) bool {
		return !allSame(s) && (descending(s, 8, 9)-integer(s[8:]))%11 == 0
	}},
	{"CA SIN", []string{"ddd?ddd?ddd"}, identityTopic, func(s string) bool { return s[0] != '0' && s[0] != '8' && luhn(s) }},
	{"PT NIF", []string{"ddd?ddd?ddd"}, identityTopic, func(s string) bool {
		return strings.IndexByte("123", s[0]) >= 0 && modulo11(descending(s, 8, 9)) == integer(s[8:])
	}},
	{"AU tax file number", []string{"ddd?ddd?ddd"}, identityTopic, func(s string) bool {
		return weighted(s, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0
	}},
	{"UK NHS number", []string{"ddd?ddd?dddd"}, identityTopic, func(s string) bool {
		return !allSame(s) && (descending(s, 9, 10)+integer(s[9:]))%11 == 0
	}},
	{"CL RUT", []string{"dd.ddd.ddd-x", "d.ddd.ddd-x"}, noTopic, isRUT},
	{"CL RUT, bare", []string{"dddddddd-x", "ddddddd-x"}, identityTopic, isRUT},
	{"ES DNI", []string{"dddddddd?a", "dd.ddd.ddd?a"}, noTopic, isDNI},
	{"IE PPSN", []string{"dddddddaa", "ddddddda"}, identityTopic, isPPSN},
	{"ES NIE", []string{"a?ddddddd?a"}, noTopic, isNIE},
	{"UK national insurance number", []string{"aa?dd?dd?dd?a"}, noTopic, isNINO},
	{"IT codice fiscale", []string{"aaaaaaxxaxxaxxxa"}, noTopic, isCodiceFiscale},
	{"IN PAN", []string{"aaaaadddda"}, noTopic, func(s string) bool { return s[3] == 'P' }},
	{"MX CURP", []string{"aaaaddddddaaaaaaxd"}, noTopic, isCURP},
}

// nationalID returns the end of the national number at i, 0 if there is none.
func nationalID(text string, i int) int {
	first := class[text[i]] & (digit | letter)
	for _, id := range identities {
		for _, shape := range id.shapes {
			if (shape[0] == 'd') != (first == digit) {
				continue
			}
			s, end := match(text, i, shape)
			if end == 0 || !endsNumber(text, end) || !id.valid(s) {
				continue
			}
			if id.topic == noTopic || isIdentityTopic(topicOf(text, i, end), id.topic) {
				return end
			}
		}
	}
	return 0
}

// isIdentityTopic tells whether the topic that was found is the wanted one; the
// name of the US number is one of an identity too.
func isIdentityTopic(got, want topic) bool {
	return got == want || got == securityTopic && want == identityTopic
}
