package refine

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Verdict is what a judge says of a pair.
type Verdict int

// No verdict is one that could not be read, as from a judge that refused.
const (
	NoVerdict Verdict = iota
	FirstWins
	SecondWins
	Tie
)

// String is the verdict in a word.
func (v Verdict) String() string {
	return [...]string{"none", "first", "second", "tie"}[v]
}

// longestVerdict is how many bytes at the end of a judge's reply are read.
const longestVerdict = 64 << 10

var (
	sayWinner = regexp.MustCompile(`(?i)\b(?:winner|verdict|better(?: answer| one)?|preferred(?: answer)?)\b["'*_]*(?: is|:)+["'*_ ]*(?:answer |response )?["'*_\[]*(a|b|tie)\b`)
	sayScore  = regexp.MustCompile(`(?i)\b(?:score|rating)\b["'*_]*(?: is|:)+["'*_ ]*(\d{1,3}(?:\.\d{1,6})?)\b`)
)

// ParsePair reads a reply to PairPrompt: the JSON objects in it that have a
// winner, whatever stands around them; without one, phrases like "Winner: A".
// If there are several that do not agree, one may be quoted from what was
// judged: that is no verdict, as is a reply without any.
func ParsePair(reply string) Verdict {
	reply = tail(reply)
	var words []string
	for value := range jsonValues(reply, '{') {
		var v struct {
			Winner any `json:"winner"`
		}
		if json.Unmarshal(value, &v) == nil && v.Winner != nil {
			word, _ := v.Winner.(string) // what is no text names nobody
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		for _, m := range sayWinner.FindAllStringSubmatch(reply, -1) {
			words = append(words, m[1])
		}
	}
	verdict := NoVerdict
	for i, w := range words {
		v := winner(w)
		if i > 0 && v != verdict {
			return NoVerdict
		}
		verdict = v
	}
	return verdict
}

func winner(word string) Verdict {
	word = strings.ToLower(strings.Trim(word, " \"'*.[]"))
	word = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(word, "answer"), "response"), "_")
	switch strings.TrimSpace(word) {
	case "a":
		return FirstWins
	case "b":
		return SecondWins
	case "tie", "draw", "equal", "neither", "both", "none":
		return Tie
	}
	return NoVerdict
}

// ParseScore reads a reply to ScorePrompt, as ParsePair does, and scales the
// score from 1..MaxScore to 0..1. It says whether there is one.
func (j Judge) ParseScore(reply string) (float64, bool) {
	j = j.WithDefaults()
	reply = tail(reply)
	var words []string
	for value := range jsonValues(reply, '{') {
		var v struct {
			Score json.RawMessage `json:"score"`
		}
		if json.Unmarshal(value, &v) == nil && v.Score != nil {
			words = append(words, scalar(v.Score))
		}
	}
	if len(words) == 0 {
		for _, m := range sayScore.FindAllStringSubmatch(reply, -1) {
			words = append(words, m[1])
		}
	}
	score := 0.0
	for i, w := range words {
		w, _ = strings.CutSuffix(strings.TrimSpace(w), fmt.Sprintf("/%d", j.MaxScore))
		s, err := strconv.ParseFloat(strings.TrimSpace(w), 64)
		if err != nil || !(s >= 1 && s <= float64(j.MaxScore)) || i > 0 && s != score {
			return 0, false
		}
		score = s
	}
	if len(words) == 0 {
		return 0, false
	}
	return (score - 1) / float64(max(1, j.MaxScore-1)), true
}

// scalar is a JSON string's text, or the JSON as it is.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func tail(reply string) string { return reply[max(0, len(reply)-longestVerdict):] }

// MeanScore is the mean of the scores that could be read, NaN for none.
func MeanScore(scores []float64) float64 {
	sum := 0.0
	for _, s := range scores {
		sum += s
	}
	if len(scores) == 0 {
		return math.NaN()
	}
	return sum / float64(len(scores))
}

// BestScore is the position of the highest mean score, the first of equal ones;
// -1 if none is min_score or more. Answers without a score have NaN.
func (j Judge) BestScore(means []float64) int {
	best := -1
	for i, m := range means {
		if m >= j.MinScore && (best < 0 || m > means[best]) {
			best = i
		}
	}
	return best
}
