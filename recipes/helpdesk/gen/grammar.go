package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A phrase is text with choices in it: [a|b|] is one of its parts, here a, b or
// nothing, and {name} one of the words of that name. Choices nest.
type phrase string

// say makes one text of a phrase.
func (p phrase) say(random *rand.Rand) string {
	text, rest := expand(random, string(p), words)
	if rest != "" {
		panic(fmt.Sprintf("phrase %q: unmatched ] or |", p))
	}
	return text
}

// expand makes one text of s up to a | or ] that belongs to an outer choice,
// and returns what is left from there on.
func expand(random *rand.Rand, s string, words map[string][]phrase) (text, rest string) {
	var b strings.Builder
	for s != "" {
		switch s[0] {
		case ']', '|':
			return b.String(), s
		case '[':
			var chosen string
			chosen, s = choose(random, s[1:], words)
			b.WriteString(chosen)
		case '{':
			name, after, ok := strings.Cut(s[1:], "}")
			list := words[name]
			if !ok || len(list) == 0 {
				panic(fmt.Sprintf("no words for {%s}", name))
			}
			b.WriteString(pick(random, list).say(random))
			s = after
		default:
			n := strings.IndexAny(s, "[]{|")
			if n < 0 {
				n = len(s)
			}
			b.WriteString(s[:n])
			s = s[n:]
		}
	}
	return b.String(), ""
}

// choose picks one part of the choice that s is in, after its [, and returns
// what follows its ].
func choose(random *rand.Rand, s string, words map[string][]phrase) (text, rest string) {
	var parts []string
	for {
		part, after := expand(random, s, words)
		parts = append(parts, part)
		if after == "" {
			panic(fmt.Sprintf("unmatched [ before %q", s))
		}
		s = after[1:]
		if after[0] == ']' {
			return pick(random, parts), s
		}
	}
}

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// weighted picks an index with probability in proportion to its weight.
func weighted(random *rand.Rand, weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	n := random.IntN(total)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	panic("weights that do not add up")
}
