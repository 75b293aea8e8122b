package refine

import (
	"fmt"
	"regexp"
	"strings"
)

// FinalNumber is the number that a text gives as its answer. The first of these
// places that the text has decides:
//
//  1. the last line that is #### and a number, or, as the text's last line,
//     #### and anything with a number;
//  2. the last \boxed{…};
//  3. the last "A:", "Answer:", "Final answer:" at the start of a line, or "the
//     answer is" or "answer:" within one, Markdown emphasis aside (also in
//     German, French, Spanish, Italian, Portuguese, Dutch, Russian, Chinese):
//     the rest of the line, the next one with text if there is no rest;
//  4. the whole text.
//
// In 1 to 3 it is the first number of the place, after its last = if there is
// one; in 4 the last number of the text. A place without a number means that
// the text has none.
//
// Numbers are decimals with a sign, a currency sign, an exponent (1.5e3, 2×10^3)
// and groups of thousands (1,234.5 1.234,5 1'234 and no-break spaces; 1,234 is
// 1234, 12,5 is 12.5, 1.234 is 1.234), fractions (3/4, 1 1/2, ½, \frac{3}{4}),
// and percentages. A digit that follows a letter, as in H2O, is none. Of a text
// longer than 64 KiB the end is read.
func FinalNumber(text string) (Number, bool) {
	if cut := len(text) - longestFinal; cut > 0 {
		text = text[cut:]
		text = text[max(0, strings.IndexAny(text, " \n")):] // no half of a number
	}
	text = plain(text)
	if place, ok := hashPlace(text); ok {
		return firstNumber(place)
	}
	if place, ok := boxedPlace(text); ok {
		return firstNumber(place)
	}
	if place, ok := answerPlace(text); ok {
		return firstNumber(place)
	}
	return lastNumber(text)
}

// longestFinal is how many bytes at the end of a text are searched for its number.
const longestFinal = 64 << 10

func hashPlace(text string) (string, bool) {
	found, last := "", ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if rest, ok := strings.CutPrefix(line, "####"); ok && aloneNumber(rest) {
			found = rest
		}
	}
	if rest, ok := strings.CutPrefix(last, "####"); ok {
		if _, ok := firstNumber(rest); ok {
			return rest, true
		}
	}
	return found, found != ""
}

// aloneNumber says whether a text is a number and nothing else but a full stop.
func aloneNumber(text string) bool {
	text = strings.TrimRight(strings.TrimSpace(text), ".")
	alone := false
	numbers(text, 0, func(_ Number, start, end int) bool {
		alone = start == 0 && end == len(text)
		return false
	})
	return alone
}

// boxedPlace is what the braces of the last \boxed hold.
func boxedPlace(text string) (string, bool) {
	i := strings.LastIndex(text, `\boxed`)
	if i < 0 {
		return "", false
	}
	rest := strings.TrimLeft(text[i+len(`\boxed`):], " ")
	if !strings.HasPrefix(rest, "{") {
		return "", false
	}
	depth := 0
	for j, c := range []byte(rest) {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return rest[1:j], true
			}
		}
	}
	return rest[1:], true // cut in the middle
}

// answerLine finds where a text announces its answer: at the start of a line,
// or within one.
var answerLine = regexp.MustCompile(`(?im)(?:^[ \t>*_#-]*(?:a|(?:the |my |so,? |therefore,? )*(?:final )?answer|(?:die )?(?:end|endgültige )?antwort|(?:la )?r[ée]ponse(?: finale)?|(?:la )?respuesta(?: final)?|(?:la )?risposta(?: finale)?|(?:a )?resposta(?: final)?|(?:het )?antwoord|(?:итоговый )?ответ|(?:最终)?答案)[*_ ]*[:：]` +
	`|(?:\banswer|\bantwort|\br[ée]ponse|\brespuesta|\brisposta|\bresposta|\bantwoord|ответ|答案)(?: (?:to the (?:question|problem)|finale?))?[*_ ]*(?: is | ist | est | es | is | è | é | equals |[:：]|为|是))`)

// answerPlace is the line that follows the last announcement of an answer.
func answerPlace(text string) (string, bool) {
	all := answerLine.FindAllStringIndex(text, -1)
	if len(all) == 0 {
		return "", false
	}
	for line := range strings.Lines(text[all[len(all)-1][1]:]) {
		if strings.Trim(line, " \t\r\n*_:$") != "" {
			return line, true
		}
	}
	return "", true
}

// firstNumber is the first number after the last = of a place, if there is one there.
func firstNumber(place string) (first Number, ok bool) {
	from := strings.LastIndexByte(place, '=') + 1
	numbers(place, from, func(n Number, _, _ int) bool {
		first, ok = n, true
		return false
	})
	if !ok && from > 0 {
		return firstNumber(place[:from-1])
	}
	return first, ok
}

// lastNumber looks at the last 10,000 bytes first, and further ahead if they
// hold none. It cuts between words, or within one that is longer than any number.
func lastNumber(text string) (last Number, ok bool) {
	const piece = 10_000
	from := max(0, len(text)-piece)
	for least := max(0, from-2*longestNumber); from > least && text[from] != ' ' && text[from] != '\n'; {
		from--
	}
	numbers(text, from, func(n Number, _, _ int) bool {
		last, ok = n, true
		return true
	})
	if !ok && from > 0 {
		return lastNumber(text[:from])
	}
	return last, ok
}

// compareNumbers says why two texts do not have one final number, "" if they do.
func compareNumbers(answer, reference string, tolerance float64) string {
	want, ok := FinalNumber(reference)
	if !ok {
		return fmt.Sprintf("the reference %q has no final number", shorten(reference))
	}
	got, ok := FinalNumber(answer)
	if !ok {
		return fmt.Sprintf("no final number, want %s", shorten(want.Text))
	}
	if !got.Equal(want, tolerance) {
		return fmt.Sprintf("the final number is %s, want %s", shorten(got.Text), shorten(want.Text))
	}
	return ""
}
