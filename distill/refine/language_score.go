package refine

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// weighed is a profile with what each of its features says: 1 divided by how
// many languages of the script have it.
type weighed struct {
	code    string
	words   map[string]float64
	letters map[rune]float64
	endings map[string]float64
	strange map[rune]float64 // letters that others of the script have, and perhaps this one
}

func weigh(profiles []profile) []weighed {
	words, letters, endings := map[string]float64{}, map[rune]float64{}, map[string]float64{}
	out := make([]weighed, len(profiles))
	for i, p := range profiles {
		out[i] = weighed{p.code, map[string]float64{}, map[rune]float64{}, map[string]float64{}, letters}
		for _, w := range strings.Fields(p.words) {
			out[i].words[w] = 1
		}
		for _, r := range p.letters {
			out[i].letters[r] = 1
		}
		for _, e := range strings.Fields(p.endings) {
			out[i].endings[e] = 1
		}
		count(out[i].words, words)
		count(out[i].letters, letters)
		count(out[i].endings, endings)
	}
	for _, p := range out {
		share(p.words, words)
		share(p.letters, letters)
		share(p.endings, endings)
	}
	return out
}

func count[K comparable](in, total map[K]float64) {
	for k := range in {
		total[k]++
	}
}

func share[K comparable](in, total map[K]float64) {
	for k := range in {
		in[k] = 1 / total[k]
	}
}

// What a word says about a language: all of it if it is one of its frequent
// words, some of it if it ends or is spelled as its words are, and something
// against it if it has a letter that the language does not have.
const (
	endingScore  = 0.25
	letterScore  = 0.5
	strangeScore = -0.75
	leastScore   = 0.5 // of the best language: less tells none
	leastLead    = 1.1 // of the best over the next: less tells none
)

// likeliest is the language whose profile a text fits best, "" if none fits or
// two fit equally.
func likeliest(profiles []weighed, text string) string {
	scores := make([]float64, len(profiles))
	isBreak := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' && r != '·' }
	for word := range strings.FieldsFuncSeq(strings.ToLower(straightQuotes.Replace(norm.NFC.String(text))), isBreak) {
		word = strings.Trim(word, "'")
		for i, p := range profiles {
			scores[i] += p.score(word)
		}
	}
	best := slices.Index(scores, slices.Max(scores))
	next := 0.0
	for i, s := range scores {
		if i != best {
			next = max(next, s)
		}
	}
	if scores[best] < leastScore || scores[best] < leastLead*next {
		return ""
	}
	return profiles[best].code
}

func (p weighed) score(word string) float64 {
	if w, ok := p.words[word]; ok {
		return w
	}
	if before, after, ok := strings.Cut(word, "'"); ok { // l'anno, don't
		return p.words[after] + p.words[before+"'"]
	}
	best, strange := 0.0, false
	for _, r := range word {
		if w, ok := p.letters[r]; ok {
			best = max(best, w*letterScore)
		} else if p.strange[r] > 0 {
			strange = true
		}
	}
	if strange {
		return strangeScore
	}
	if utf8.RuneCountInString(word) < 5 {
		return best
	}
	score := 0.0
	for ending, w := range p.endings {
		if strings.HasSuffix(word, ending) {
			score = max(score, w)
		}
	}
	return best + score*endingScore
}
