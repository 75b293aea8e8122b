package redact

import "strings"

// cardGroups are the ways in which the digits of a card are grouped, by what
// is printed on cards; "" is none.
var cardGroups = []string{"dddd-dddd-dddd-dddd-ddd", "dddd-dddd-dddd-dddd", "dddd-dddddd-ddddd", "dddd-dddddd-dddd"}

const minCardDigits, maxCardDigits = 13, 19

// card returns the end of the payment card number at i, 0 if there is none.
func card(text string, i int) int {
	run := i
	for run < len(text) && run-i <= maxCardDigits && isDigit(text[run]) {
		run++
	}
	if run-i >= minCardDigits {
		digits := text[i:run]
		identity := len(digits) == 18 && isResidentCN(digits) // the stronger form, with a date
		if run-i <= maxCardDigits && endsNumber(text, run) && isCard(digits) && !identity {
			return run
		}
		return 0
	}
	if run-i != 4 || run == len(text) || text[run] != ' ' && text[run] != '-' {
		return 0
	}
	for _, groups := range cardGroups {
		compact, end := match(text, i, strings.ReplaceAll(groups, "-", text[run:run+1]))
		if end > 0 && endsNumber(text, end) && isCard(compact) {
			return end
		}
	}
	return 0
}

// issuer is a range of first digits with the lengths that its numbers have.
type issuer struct {
	from, to          string
	shortest, longest int
}

// issuers after ISO/IEC 7812 as the networks publish them.
var issuers = []issuer{
	{"4", "4", 13, 19},       // Visa
	{"51", "55", 16, 16},     // Mastercard
	{"2221", "2720", 16, 16}, // Mastercard
	{"34", "34", 15, 15},     // American Express
	{"37", "37", 15, 15},     // American Express
	{"6011", "6011", 16, 19}, // Discover
	{"644", "649", 16, 19},   // Discover
	{"65", "65", 16, 19},     // Discover, RuPay, Elo
	{"60", "60", 16, 16},     // RuPay
	{"81", "82", 16, 16},     // RuPay, UnionPay
	{"508", "508", 16, 16},   // RuPay
	{"300", "305", 14, 19},   // Diners Club
	{"3095", "3095", 14, 19}, // Diners Club
	{"36", "36", 14, 19},     // Diners Club
	{"38", "39", 14, 19},     // Diners Club
	{"3528", "3589", 16, 19}, // JCB
	{"62", "62", 16, 19},     // UnionPay
	{"2200", "2204", 16, 19}, // Mir
	{"50", "50", 13, 19},     // Maestro
	{"56", "58", 13, 19},     // Maestro
	{"6304", "6304", 13, 19}, // Maestro
	{"6759", "6763", 13, 19}, // Maestro
	{"9792", "9792", 16, 16}, // Troy
	{"1", "1", 15, 15},       // UATP
}

func isCard(digits string) bool {
	for _, r := range issuers {
		n := len(r.from)
		if digits[:n] >= r.from && digits[:n] <= r.to && len(digits) >= r.shortest && len(digits) <= r.longest {
			return !allSame(digits) && luhn(digits)
		}
	}
	return false
}
