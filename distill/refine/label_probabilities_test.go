package refine_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill/refine"
)

func itoa(n int) string       { return strconv.Itoa(n) }
func trim(x float64) string   { return strconv.FormatFloat(math.Round(x*1e4)/1e4, 'f', -1, 64) }
func close(a, b float64) bool { return math.Abs(a-b) <= 1e-9 }

// position makes a Position of "token p token p …", the first being the answer's;
// _ is white space, and <end> the end.
func position(text string) refine.Position {
	var p refine.Position
	fields := strings.Fields(text)
	for i := 0; i < len(fields); i += 2 {
		token := []byte(strings.NewReplacer("_", " ", "<end>", "").Replace(fields[i]))
		prob, _ := strconv.ParseFloat(fields[i+1], 64)
		if i == 0 {
			p.Token = token
		}
		p.Top = append(p.Top, refine.Alternative{Bytes: token, LogProb: math.Log(prob)})
	}
	return p
}

func TestFromTopLogProbs(t *testing.T) {
	for _, c := range []struct {
		name      string
		labels    string
		positions []string
		mass      string // of the labels, then other, undecided, unlisted
	}{
		{"one token a label", "yes no", []string{"yes 0.6 no 0.3 maybe 0.05"}, "0.6 0.3; 0.05 0 0.05"},
		{"case and white space", "Yes No", []string{"_yes 0.4 YES 0.2 __No 0.3"}, "0.6 0.3; 0 0 0.1"},
		{"a token that begins a label", "refund cancel", []string{"ref 0.7 can 0.2 c 0.1", "und 1"}, "0.7 0.3; 0 0 0"},
		{"a shared beginning", "card_lost card_stolen pin", []string{"card 0.8 pin 0.1 the 0.1", "-l 0.1 x 0.9"}, "0 0 0.1; 0.9 0 0"},
		{"a shared beginning goes on", "card-lost card-stolen pin", []string{"card 0.8 pin 0.1 the 0.1", "- 0.9 . 0.1", "st 0.75 lo 0.25"}, "0.18 0.54 0.1; 0.18 0 0"},
		{"the other beginning is not known", "alpha-one alpha-two beta", []string{"beta 0.6 alpha 0.4"}, "0 0 0.6; 0 0.4 0"},
		{"a label that begins another", "no not-sure yes", []string{"no 0.8 yes 0.2", "<end> 0.5 t 0.25 . 0.25"}, "0.6 0.2 0.2; 0 0 0"},
		{"a label that begins another, not chosen", "no not-sure yes", []string{"yes 0.8 no 0.2", "<end> 1"}, "0.2 0 0.8; 0 0 0"},
		{"a label that begins another, at the last position", "no not-sure yes", []string{"no 0.8 yes 0.2"}, "0.8 0 0.2; 0 0 0"},
		{"two ways to write one beginning", "ax ay", []string{"a 0.5 A 0.3 ax 0.2", "x 0.5 y 0.5"}, "0.6 0.4; 0 0 0"},
		{"white space first", "yes no", []string{"_ 0.9 yes 0.1", "yes 0.5 no 0.5"}, "0.55 0.45; 0 0 0"},
		{"beyond the end", "yes no", []string{"yes, 0.5 no. 0.3 nobody 0.2"}, "0.5 0.3; 0.2 0 0"},
		{"ended at once", "yes no", []string{"yes 0.9 <end> 0.1"}, "0.9 0; 0.1 0 0"},
		{"parts of characters", "é è", []string{"\xc3 1", "\xa9 0.7 \xa8 0.3"}, "0.7 0.3; 0 0 0"},
	} {
		var positions []refine.Position
		for _, p := range c.positions {
			positions = append(positions, position(p))
		}
		labels := strings.Fields(c.labels)
		got, err := refine.FromTopLogProbs(labels, positions)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var mass []string
		sum := 0.0
		for _, p := range got.P {
			mass = append(mass, trim(p*got.Mass))
			sum += p
		}
		text := strings.Join(mass, " ") + "; " + trim(got.Other) + " " + trim(got.Undecided) + " " + trim(got.Unlisted)
		if text != c.mass || !close(sum, 1) || !close(got.Mass+got.Other+got.Undecided+got.Unlisted, 1) {
			t.Errorf("%s: %s, sum %v, want %s", c.name, text, sum, c.mass)
		}
	}
}

func TestFromTopLogProbsRefuses(t *testing.T) {
	for _, c := range []struct {
		name, labels, position, want string
	}{
		{"no label", "yes no", "perhaps 1", "none of the 2 labels"},
		{"twice", "Yes yes", "yes 1", "differ in more than case"},
		{"too much", "yes no", "yes 0.9 no 0.9", "position 0: the probabilities sum to 1.8"},
		{"above one", "yes no", "yes 1.5", "log-probability"},
		{"not a number", "yes no", "yes -1", "log-probability NaN"},
	} {
		_, err := refine.FromTopLogProbs(strings.Fields(c.labels), []refine.Position{position(c.position)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	p := refine.Position{Token: []byte("yes"), Top: []refine.Alternative{{Bytes: []byte("yes"), LogProb: 0}, {Bytes: []byte("no"), LogProb: -9999}}}
	if got, err := refine.FromTopLogProbs([]string{"yes", "no"}, []refine.Position{p}); err != nil || got.P[1] != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := refine.FromTopLogProbs([]string{"yes"}, nil); err == nil {
		t.Error("probabilities out of nothing")
	}
}

func TestFromLogLikelihoods(t *testing.T) {
	p, err := refine.FromLogLikelihoods([]float64{-1000, -1000 - math.Log(3), math.Inf(-1)})
	if err != nil || !close(p[0], 0.75) || !close(p[1], 0.25) || p[2] != 0 {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range [][]float64{nil, {math.Inf(-1)}, {math.NaN(), 0}, {math.Inf(1)}} {
		if _, err := refine.FromLogLikelihoods(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}
