package refine

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// script is a way of writing, and what is known of the languages written in it.
type script struct {
	table    *unicode.RangeTable
	code     string // the only language here, or ""
	letters  int    // fewer letters than that tell no language
	profiles []weighed
}

var scripts = []script{
	{unicode.Latin, "", 6, weigh(latin)},
	{unicode.Cyrillic, "", 6, weigh(cyrillic)},
	{unicode.Arabic, "", 6, weigh(arabic)},
	{unicode.Devanagari, "", 6, weigh(devanagari)},
	{unicode.Han, "zh", 4, nil}, // ja when there is kana as well
	{unicode.Hiragana, "ja", 3, nil},
	{unicode.Katakana, "ja", 3, nil},
	{unicode.Hangul, "ko", 3, nil},
	{unicode.Greek, "el", 6, nil},
	{unicode.Hebrew, "he", 6, nil},
	{unicode.Thai, "th", 6, nil},
	{unicode.Armenian, "hy", 6, nil},
	{unicode.Georgian, "ka", 6, nil},
	{unicode.Bengali, "bn", 6, nil},
	{unicode.Tamil, "ta", 6, nil},
	{unicode.Telugu, "te", 6, nil},
	{unicode.Kannada, "kn", 6, nil},
	{unicode.Malayalam, "ml", 6, nil},
	{unicode.Gujarati, "gu", 6, nil},
	{unicode.Gurmukhi, "pa", 6, nil},
}

// KnownLanguages lists the codes that Language can return, sorted.
func KnownLanguages() []string {
	codes := map[string]bool{}
	for _, s := range scripts {
		if s.code != "" {
			codes[s.code] = true
		}
		for _, p := range s.profiles {
			codes[p.code] = true
		}
	}
	return slices.Sorted(maps.Keys(codes))
}

// languageReach is how many bytes of a text are looked at.
const languageReach = 20_000

// foreign is what says nothing about a text's language: code and addresses.
var foreign = regexp.MustCompile("(?s)```.*?(?:```|$)|`[^`\n]*`|https?://\\S+|[\\w.+-]{1,64}@[\\w.-]{1,255}")

// Language is the ISO 639-1 code of the language that most of a text is in, or
// "" if there is too little text to tell. The script decides; where languages
// share one, their frequent words, letters and endings do. Code between
// backquotes and addresses do not count. It is meant for sentences: of single
// words it usually knows none. Of 72 sentences in 24 languages that it was not
// made with (language_fresh_test.go) it knew 64 and took one for another; of the
// 48 that have more than a few words, 47 and none.
func Language(text string) string {
	if len(text) > languageReach {
		text = strings.ToValidUTF8(text[:languageReach], "")
	}
	text = foreign.ReplaceAllString(text, " ")
	counts := make([]int, len(scripts))
	for _, r := range text {
		if r < 0x80 { // most of most texts
			if r|0x20 >= 'a' && r|0x20 <= 'z' {
				counts[0]++
			}
			continue
		}
		for i := range scripts {
			if unicode.Is(scripts[i].table, r) {
				counts[i]++
				break
			}
		}
	}
	best, most := 0, -1
	for i := range scripts {
		if n := counts[i] * worth(scripts[i].table); n > most {
			best, most = i, n
		}
	}
	return languageIn(best, counts, text)
}

// worth is how many letters of an alphabet one sign of a script says.
func worth(table *unicode.RangeTable) int {
	switch table {
	case unicode.Han:
		return 3
	case unicode.Hangul, unicode.Hiragana, unicode.Katakana:
		return 2
	}
	return 1
}

func languageIn(best int, counts []int, text string) string {
	s := scripts[best]
	kana := 0
	for i, other := range scripts {
		if other.code == "ja" {
			kana += counts[i]
		}
	}
	if (s.code == "zh" || s.code == "ja") && kana*10 >= counts[best] && kana >= 2 {
		return "ja"
	}
	if counts[best] < s.letters {
		return ""
	}
	if s.profiles == nil {
		return s.code
	}
	return likeliest(s.profiles, text)
}
