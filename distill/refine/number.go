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
		if from = pastWord(text, m); from > m[1] || inWord(text, m) {
			continue
		}
		if n := readNumber(text, m); n.Value != nil {
			if !each(n, m[0], m[1]) {
				return
			}
		} else if m[12] >= 0 && m[14] < 0 && m[16] < 0 && !eachRun(text[:m[13]], m[12], each) {
			return
		}
	}
}

// group is the text of a group of numberPattern, "" if it is not there.
func group(text string, m []int, i int) string {
	if m[2*i] < 0 {
		return ""
	}
	return text[m[2*i]:m[2*i+1]]
}

// inWord says whether the digits of a match belong to a word: H2O, x2.
func inWord(text string, m []int) bool {
	return m[0] > 0 && wordByte(text[m[0]-1]) && group(text, m, 1) == ""
}

// pastWord is the end of a match, or of the date or path that goes on behind a
// fraction: 3/4/2024.
func pastWord(text string, m []int) int {
	end := m[1]
	if m[10] >= 0 && end < len(text) && text[end] == '/' {
		for end < len(text) && (wordByte(text[end]) || text[end] == '/') {
			end++
		}
	}
	return end
}

// readNumber reads a match; its Value is nil if the number is too long, or
// digits and separators make no sense.
func readNumber(text string, m []int) Number {
	value := readFraction(group(text, m, 3), group(text, m, 4), group(text, m, 5))
	if m[12] >= 0 {
		value = readDecimal(group(text, m, 6))
	}
	value = scale(value, group(text, m, 7)+group(text, m, 8))
	if value == nil {
		return Number{}
	}
	start, negative := m[0], group(text, m, 1) != "" || group(text, m, 2) != ""
	if start > 0 && wordByte(text[start-1]) { // GPT-4, 16-3: a hyphen, no sign
		start, negative = start+1, group(text, m, 2) != ""
	}
	if negative {
		value.Neg(value)
	}
	return Number{Value: value, Percent: m[18] >= 0, Text: strings.TrimSpace(text[start:m[1]])}
}

// eachRun gives the runs of digits that separators make no number of: 1,2,3.
func eachRun(text string, start int, each func(n Number, start, end int) bool) bool {
	for start < len(text) {
		end := start
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		if end > start {
			if value := readDecimal(text[start:end]); value != nil && !each(Number{Value: value, Text: text[start:end]}, start, end) {
				return false
			}
		}
		start = max(end, start+1)
	}
	return true
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
	limit, _ := new(big.Rat).SetString(strconv.FormatFloat(tolerance, 'g', -1, 64)) // 0.3 as it is written
	return difference.Abs(difference).Cmp(limit) <= 0
}
