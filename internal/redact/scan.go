package redact

import "strings"

// found receives what a detector of a built-in kind has found in a folded text.
type found func(kind string, start, end int)

// Classes of bytes. A byte of a rune beyond ASCII is of none: in scripts without
// spaces a number may follow a word directly.
const (
	digit = 1 << iota
	letter
	hexadecimal
)

var class = func() (c [256]byte) {
	for i := range 10 {
		c['0'+i] = digit | hexadecimal
	}
	for i := range 26 {
		c['a'+i], c['A'+i] = letter, letter
	}
	for i := range 6 {
		c['a'+i] |= hexadecimal
		c['A'+i] |= hexadecimal
	}
	return c
}()

func isDigit(c byte) bool { return class[c]&digit != 0 }
func isAlnum(c byte) bool { return class[c]&(digit|letter) != 0 }
func isHex(c byte) bool   { return class[c]&hexadecimal != 0 }

// scan looks for the built-in kinds in one pass. Every detector starts where its
// kind can start and reads a bounded number of bytes, or bytes that it will
// not read again.
func scan(text string, add found) {
	pem := pemFinder{text: text}
	free := 0  // what is before belongs to a number that was found
	value := 0 // likewise to a secret
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case class[c] != 0:
			if i > 0 && (isAlnum(text[i-1]) || text[i-1] == '_') {
				continue // amid a token
			}
			if isDigit(c) && i >= free {
				free = number(text, i, add)
			}
			token(text, i, add)
		case c == '@' && i > value:
			email(text, i, add)
		case c == '+' && i >= free:
			free = max(free, international(text, i, add))
		case c == '(' && i >= free:
			free = max(free, areaInParentheses(text, i, add))
		case c == ':':
			if strings.HasPrefix(text[i:], "://") {
				value = max(value, urlCredentials(text, i, add))
			}
			if i >= value {
				value = assignment(text, i, add)
			}
			if i == 0 || text[i-1] != ':' && !isAlnum(text[i-1]) {
				ipv6(text, i, add)
			}
		case c == '=' && i >= value:
			value = assignment(text, i, add)
		case c == '-':
			pem.find(i, add)
		}
	}
}

// number looks for the kinds that begin with a digit, the most certain ones
// first, and returns the end of what it has found.
func number(text string, i int, add found) (end int) {
	if dotted(text, i, add) || !hasDigits(text, i, 7) || !startsNumber(text, i) {
		return 0
	}
	if end := card(text, i); end > 0 {
		add(Card, i, end)
		return end
	}
	if end := nationalID(text, i); end > 0 {
		add(NationalID, i, end)
		return end
	}
	if end := nationalPhone(text, i); end > 0 {
		add(Phone, i, end)
		return end
	}
	return 0
}

// token looks for the kinds that begin with a letter or a digit and have letters.
func token(text string, i int, add found) {
	secret(text, i, add)
	if isHex(text[i]) {
		mac(text, i, add)
		ipv6(text, i, add)
	}
	if isDigit(text[i]) {
		return
	}
	if end := iban(text, i); end > 0 {
		add(IBAN, i, end)
	} else if codeStarts(text, i) {
		if end := nationalID(text, i); end > 0 {
			add(NationalID, i, end)
		}
	}
}

// hasDigits tells whether there are n digits from i on with no more than two
// other bytes between two of them: what has fewer is no number of these kinds.
func hasDigits(text string, i, n int) bool {
	for k := i; k < len(text) && n > 0; k++ {
		if isDigit(text[k]) {
			n--
		} else if k > i+1 && !isDigit(text[k-1]) && !isDigit(text[k-2]) {
			break
		}
	}
	return n == 0
}

// codeStarts tells whether one to six letters stand at i and then a digit: what
// all national numbers that begin with a letter begin with.
func codeStarts(text string, i int) bool {
	k := i
	for k < len(text) && k-i < 7 && class[text[k]]&letter != 0 {
		k++
	}
	if k-i <= 2 && k < len(text) && (text[k] == ' ' || text[k] == '-' || text[k] == '.') {
		k++
	}
	return k-i < 7 && k < len(text) && isDigit(text[k])
}

// startsNumber tells whether a number can start at i: not amid another one, a
// code, a decimal fraction, a price or a hash mark.
func startsNumber(text string, i int) bool {
	if i == 0 {
		return true
	}
	switch c := text[i-1]; c {
	case '_', '$', '#', '%', '^', '*':
		return false
	case '.', '-', '/', '+':
		return i < 2 || !isAlnum(text[i-2])
	default:
		return !isAlnum(c) && !strings.HasSuffix(text[:i], "€") && !strings.HasSuffix(text[:i], "£")
	}
}

// endsNumber tells whether a number can end before i.
func endsNumber(text string, i int) bool {
	if i >= len(text) {
		return true
	}
	switch c := text[i]; c {
	case '_', '%', '^', '*':
		return false
	case '.', '-', '/', '+', ':':
		return i+1 >= len(text) || !isAlnum(text[i+1]) || c == ':' && !isDigit(text[i+1])
	default:
		return !isAlnum(c)
	}
}
