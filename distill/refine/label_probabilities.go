package refine

import (
	"fmt"
	"math"
	"strings"
)

// Alternative is a token that a server says could have stood at a place.
type Alternative struct {
	Bytes   []byte  // of its text; empty for the end of the answer
	LogProb float64 // natural; -9999 and less mean none
}

// Position is one token of an answer: which it was, and what it could have been.
type Position struct {
	Token []byte        // its text
	Top   []Alternative // usually with the token itself
}

// LabelProbs is how likely a teacher finds each label.
type LabelProbs struct {
	P []float64 // by label, summing to 1
	// Mass is the probability of all labels before it was scaled to 1. The rest
	// is what begins no label (Other), what could begin several and was not
	// continued (Undecided), and what the server did not list (Unlisted).
	Mass, Other, Undecided, Unlisted float64
}

// FromLogLikelihoods makes probabilities out of each label's log-likelihood as
// the answer, in nats: their softmax. A label that cannot be is -Inf.
func FromLogLikelihoods(logs []float64) ([]float64, error) {
	top := math.Inf(-1)
	for i, l := range logs {
		if math.IsNaN(l) || math.IsInf(l, 1) {
			return nil, fmt.Errorf("label %d: log-likelihood %v", i, l)
		}
		top = max(top, l)
	}
	if math.IsInf(top, -1) {
		return nil, fmt.Errorf("none of the %d labels has a likelihood", len(logs))
	}
	p, sum := make([]float64, len(logs)), 0.0
	for i, l := range logs {
		p[i] = math.Exp(l - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p, nil
}

// FromTopLogProbs makes probabilities of labels out of the likeliest tokens of
// an answer that is a label. Bytes are compared without white space before the
// label and without regard to the case of a-z. At the first position, a token
// that begins one label only, or goes beyond its end, gives its probability to
// that label; one that begins several gives its own to the next position if the
// answer went on with it, and else to the label that it is in full, if it is
// one. Two labels that differ only in case are refused.
func FromTopLogProbs(labels []string, positions []Position) (LabelProbs, error) {
	folded := make([]string, len(labels))
	seen := map[string]bool{}
	for i, l := range labels {
		folded[i] = foldASCII(strings.TrimSpace(l))
		if folded[i] == "" || seen[folded[i]] {
			return LabelProbs{}, fmt.Errorf("label %q: want labels that differ in more than case, and are not empty", l)
		}
		seen[folded[i]] = true
	}
	out := LabelProbs{P: make([]float64, len(labels))}
	prefix, reach := "", 1.0 // the answer so far, and how likely it was
	for at := 0; at < len(positions) && reach > 0; at++ {
		next, going, err := out.position(folded, prefix, reach, positions[at], at == len(positions)-1)
		if err != nil {
			return LabelProbs{}, fmt.Errorf("position %d: %w", at, err)
		}
		prefix, reach = next, going
	}
	for _, p := range out.P {
		out.Mass += p
	}
	if out.Mass == 0 {
		return LabelProbs{}, fmt.Errorf("none of the %d labels is among the answer's likeliest tokens", len(labels))
	}
	for i := range out.P {
		out.P[i] /= out.Mass
	}
	return out, nil
}

// position gives away what is known to have the prefix. It returns the prefix
// and probability with which the next position goes on, 0 if none has to.
func (l *LabelProbs) position(labels []string, prefix string, reach float64, p Position, last bool) (string, float64, error) {
	next, going, listed := "", 0.0, 0.0
	chosen := join(prefix, p.Token)
	for _, a := range p.Top {
		if math.IsNaN(a.LogProb) || a.LogProb > 1e-3 {
			return "", 0, fmt.Errorf("token %q: log-probability %v", a.Bytes, a.LogProb)
		}
		mass := reach * min(1, math.Exp(a.LogProb))
		listed += mass
		text := join(prefix, a.Bytes)
		label, several := match(labels, text, len(a.Bytes) == 0)
		switch {
		case several && text == chosen && !last: // No and no go on together
			next, going = text, going+mass
		case label >= 0:
			l.P[label] += mass
		case several:
			l.Undecided += mass
		default:
			l.Other += mass
		}
	}
	if listed > reach*1.02 {
		return "", 0, fmt.Errorf("the probabilities sum to %.3f", listed/reach)
	}
	l.Unlisted += max(0, reach-listed)
	return next, going, nil
}

// match says which label a text is: in full, as the only one that it begins, or
// with something after it; -1 for none. It says as well whether the text begins
// others, so that what follows decides. ended says that nothing follows.
func match(labels []string, text string, ended bool) (label int, several bool) {
	whole, begun, beyond, count := -1, -1, -1, 0
	for i, l := range labels {
		switch {
		case l == text:
			whole = i
		case strings.HasPrefix(l, text):
			begun, count = i, count+1
		case goesBeyond(text, l) && (beyond < 0 || len(l) > len(labels[beyond])):
			beyond = i
		}
	}
	if whole < 0 {
		whole = beyond
	}
	switch {
	case ended || count == 0:
		return whole, false
	case count == 1 && whole == beyond: // "not s" is rather "not sure" than "not"
		return begun, false
	}
	return whole, true
}

// goesBeyond says whether text is label and something after it that ends a word.
func goesBeyond(text, label string) bool {
	rest, ok := strings.CutPrefix(text, label)
	return ok && rest != "" && !wordByte(rest[0]) && rest[0] != '-' && rest[0] < 0x80
}

func join(prefix string, token []byte) string {
	return strings.TrimLeft(foldASCII(prefix+string(token)), " \t\r\n")
}

// foldASCII is in lower case where that is bytewise: a token may be part of a character.
func foldASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
