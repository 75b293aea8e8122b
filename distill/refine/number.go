package refine

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// Number is a number as a text says it.
type Number struct {
	Value   *big.Rat // without the percent sign: 50 for 50%
	Percent bool
	Text    string // as it was written
}

// longestNumber is how many digits a number may have, and how large its power
// of ten may be. What is longer is no number: its value could fill the memory.
const longestNumber = 400

// numberPattern finds what may be a number in a text that plain has written.
// Groups: 1 sign before and 2 sign after a currency, 3 the whole of a mixed
// number, 4 and 5 a fraction, 6 digits with separators, 7 and 8 a power of
// ten, 9 a percent sign.
var numberPattern = regexp.MustCompile(`(?i)(-)?(?:[$€£¥₹] ?)?(-)?` +
	`(?:(?:(\d{1,9}) )?(\d{1,400})/(\d{1,400})|(\d+(?:[.,'_\x{202f}]\d+){0,30}|\.\d+))` +
	`(?:e([+-]?\d{1,6})\b| ?(?:\*|x|×) ?10\^([+-]?\d{1,6}))?( ?%| ?percent\b| ?per cent\b)?`)

// numbers gives the numbers of a text that plain has written, with their
// bytes, from the byte at from on until each returns false.
func numbers(text string, from int, each func(n Number, start, end int) bool) {
	for from < len(text) {
		m := numberPattern.FindStringSubmatchIndex(text[from:])
		if m == nil {
			return
		}
		for i := range m {
			if m[i] >= 0 {
				m[i] += from
			}
		}
		n, end, ok := readNumber(text, m)
		if ok && !each(n, m[0], end) {
			return
		}
		from = end
	}
}

// readNumber reads a match of numberPattern and says where it ends. It is no
// number as part of a word (H2O, x2), of a date or path (3/4/2024), or if it is
// too long. Of digits whose separators make no sense (1,2,3) it is the first.
func readNumber(text string, m []int) (n Number, end int, ok bool) {
	group := func(i int) string {
		if m[2*i] < 0 {
			return ""
		}
		return text[m[2*i]:m[2*i+1]]
	}
	start, end := m[0], m[1]
	negative := group(1) != "" || group(2) != ""
	if start > 0 && wordByte(text[start-1]) {
		if group(1) == "" {
			return n, end, false
		}
		negative = group(2) != "" // GPT-4, 16-3: a hyphen, no sign
		start++
	}
	if group(5) != "" && end < len(text) && text[end] == '/' {
		for end < len(text) && (wordByte(text[end]) || text[end] == '/') {
			end++
		}
		return n, end, false
	}
	value, exponent := readFraction(group(3), group(4), group(5)), group(7)+group(8)
	if digits := group(6); digits != "" {
		if value = readDecimal(digits); value == nil {
			first := strings.IndexAny(digits, ".,'_\u202f")
			if first <= 0 {
				return n, end, false
			}
			value, exponent, end = readDecimal(digits[:first]), "", m[12]+first
		}
	}
	if value = scale(value, exponent); value == nil {
		return n, end, false
	}
	if negative {
		value.Neg(value)
	}
	return Number{Value: value, Percent: end == m[1] && group(9) != "", Text: strings.TrimSpace(text[start:end])}, end, true
}

// wordByte says whether a digit after c belongs to a word. Characters beyond
// ASCII do not count: Chinese and Japanese put numbers right after them.
func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// readFraction is nil for what is no fraction.
func readFraction(whole, over, under string) *big.Rat {
	d, ok := new(big.Int).SetString(under, 10)
	if !ok || d.Sign() == 0 {
		return nil
	}
	n, _ := new(big.Int).SetString(over, 10)
	value := new(big.Rat).SetFrac(n, d)
	if w, ok := new(big.Int).SetString(whole, 10); ok {
		value.Add(value, new(big.Rat).SetInt(w))
	}
	return value
}

// How digits are grouped: a point or comma that groups stands before each three
// digits, and there is another separator, another group, or no point that could
// be a decimal one.
var (
	commaGroups  = regexp.MustCompile(`^[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$`)
	pointGroups  = regexp.MustCompile(`^[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?:\.\d{3}){2,})$`)
	spacedGroups = regexp.MustCompile(`^\d{1,3}(?:['_\x{202f}]\d{3})+(?:[.,]\d+)?$`)
	decimal      = regexp.MustCompile(`^\d*(?:[.,]\d+)?$`)
)

// readDecimal reads digits with separators; nil if they make no sense.
func readDecimal(s string) *big.Rat {
	if len(s) > longestNumber {
		return nil
	}
	switch {
	case commaGroups.MatchString(s):
		s = strings.ReplaceAll(s, ",", "")
	case pointGroups.MatchString(s):
		s = strings.ReplaceAll(s, ".", "")
	case spacedGroups.MatchString(s):
		s = strings.NewReplacer("'", "", "_", "", "\u202f", "").Replace(s)
	case !decimal.MatchString(s):
		return nil
	}
	value, _ := new(big.Rat).SetString(strings.Replace(s, ",", ".", 1))
	return value
}

// scale multiplies by a power of ten, "" being the zeroth; nil if it is too large.
func scale(value *big.Rat, exponent string) *big.Rat {
	if value == nil || exponent == "" {
		return value
	}
	e, err := strconv.Atoi(exponent)
	if err != nil || max(e, -e) > longestNumber {
		return nil
	}
	power := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(e, -e))), nil))
	if e < 0 {
		power.Inv(power)
	}
	return value.Mul(value, power)
}

// Equal says whether two numbers have one value, up to tolerance. A percentage
// is equal to its number and to its hundredth: 50% to 50 and to 0.5.
func (n Number) Equal(other Number, tolerance float64) bool {
	if n.Percent && !other.Percent && near(hundredth(n.Value), other.Value, tolerance) ||
		other.Percent && !n.Percent && near(n.Value, hundredth(other.Value), tolerance) {
		return true
	}
	return near(n.Value, other.Value, tolerance)
}

func hundredth(v *big.Rat) *big.Rat { return new(big.Rat).Mul(v, big.NewRat(1, 100)) }

// near compares exactly; tolerance is finite and not negative.
func near(a, b *big.Rat, tolerance float64) bool {
	difference := new(big.Rat).Sub(a, b)
	return difference.Abs(difference).Cmp(new(big.Rat).SetFloat64(tolerance)) <= 0
}
