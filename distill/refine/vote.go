package refine

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// vote is what an answer votes for. An answer without a number, label or JSON
// value, where that is asked for, has no vote.
func (c *Chooser) vote(text string) (string, bool) {
	switch c.options.Vote {
	case VoteNumber:
		n, ok := FinalNumber(text)
		if !ok {
			return "", false
		}
		return n.Value.RatString(), true
	case VoteLabel:
		return c.labels.Match(text)
	case VoteJSON:
		return canonicalJSON(text)
	}
	return normalText(text), true
}

// normalText is text in NFC and lower case, with single spaces, without quotes,
// backquotes and * around it and without .,;:! at its end.
func normalText(s string) string {
	s = strings.Join(strings.Fields(strings.ToLower(norm.NFC.String(s))), " ")
	for {
		t := strings.TrimRight(strings.Trim(s, " \"'`*“”‘’«»"), ".,;:!")
		if t == s {
			return s
		}
		s = t
	}
}

// canonicalJSON writes a JSON value with sorted keys, and numbers by value.
func canonicalJSON(text string) (string, bool) {
	text, err := onlyJSON(text)
	if err != nil || checkNumbers(text) != nil {
		return "", false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return "", false
	}
	out, err := json.Marshal(byValue(value)) // sorts keys
	return string(out), err == nil
}

// byValue replaces numbers by fractions in lowest terms, so that 1, 1.0 and 1e0
// are one.
func byValue(value any) any {
	switch v := value.(type) {
	case json.Number:
		r, ok := new(big.Rat).SetString(string(v))
		if !ok {
			return v
		}
		return map[string]any{"\x00number": r.RatString()} // equal to no string
	case []any:
		for i := range v {
			v[i] = byValue(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = byValue(v[k])
		}
	}
	return value
}

// majority is the first answer of those with most votes; of equal numbers of
// votes, the one that came first.
func (c *Chooser) majority(s Screened) Choice {
	b := c.count(s)
	if len(b.keys) == 0 {
		return Choice{}
	}
	most := slices.Max(b.votes)
	winner, next := slices.Index(b.votes, most), 0
	for k, n := range b.votes {
		if k != winner {
			next = max(next, n)
		}
	}
	all := float64(len(s.Texts))
	why := fmt.Sprintf("%d of %d answers agree", most, len(s.Texts))
	choice := Choice{Agreement: float64(most) / all, Margin: float64(most-next) / all, Voted: true}
	if choice.Agreement >= c.options.MinAgreement {
		choice.Chosen = s.Pick(b.first[winner], why).Chosen
	}
	return choice
}

// distribution is every distinct answer, in order of its first vote, weighing
// its share of the votes; the weights sum to 1. With smoothing every label is
// among them, those without a vote last, in the order of the recipe.
func (c *Chooser) distribution(s Screened) Choice {
	choice := c.majority(s)
	choice.Chosen = nil
	b := c.count(s)
	total := 0.0
	for _, n := range b.votes {
		total += float64(n)
	}
	if total == 0 {
		return choice
	}
	extra := c.options.Smoothing
	if extra > 0 {
		total += extra * float64(len(c.labels.names))
	}
	for k, n := range b.votes {
		at := b.first[k]
		why := fmt.Sprintf("%d of %d answers", n, len(s.Texts))
		choice.Chosen = append(choice.Chosen, Chosen{s.Indices[at], s.Texts[at], (float64(n) + extra) / total, why})
	}
	if extra > 0 {
		for _, name := range c.labels.names {
			if !slices.Contains(b.keys, name) {
				choice.Chosen = append(choice.Chosen, Chosen{-1, name, extra / total, "smoothing"})
			}
		}
	}
	return choice
}
