package main

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retort-ml/retort/datasets"
)

func TestTheFileIsWhatTheProgramWrites(t *testing.T) {
	const path = "../tickets.parquet"
	got, err := datasets.ReadParquet[ticket](path)
	if err != nil {
		t.Fatal(err)
	}
	want := tickets(ticketCount, ticketSeed)
	if len(got) != len(want) {
		t.Fatalf("%s has %d rows, and the program makes %d: run go generate", path, len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s row %d: got %+v, want %+v: run go generate", path, i, got[i], want[i])
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 600_000 {
		t.Errorf("%s: %v bytes, %v", path, info.Size(), err)
	}
}

func TestTicketsAreUsable(t *testing.T) {
	rows := tickets(ticketCount, ticketSeed)
	texts, labels := map[string]bool{}, map[string]int{}
	for _, row := range rows {
		switch {
		case texts[row.Text]:
			t.Errorf("%s: a text twice: %q", row.ID, row.Text)
		case len(row.Text) < 10 || len(row.Text) > 700 || !utf8.ValidString(row.Text) || strings.ContainsAny(row.Text, "[]{}|"):
			t.Errorf("%s: not a text of a person: %q", row.ID, row.Text)
		case row.Label != row.Intent+" "+row.Priority:
			t.Errorf("%s: label %q of %s and %s", row.ID, row.Label, row.Intent, row.Priority)
		}
		texts[row.Text] = true
		labels[row.Label]++
	}
	if want := len(intents) * len(priorities); len(labels) != want {
		t.Errorf("%d labels, want %d", len(labels), want)
	}
	for label, n := range labels {
		if n < 15 || n > len(rows)/10 {
			t.Errorf("label %q has %d of %d rows", label, n, len(rows))
		}
	}
	if other := tickets(10, ticketSeed+1); other[0].Text == rows[0].Text {
		t.Error("another seed gives the same tickets")
	}
}

// Every choice of every phrase can be said, and no name is without words.
func TestPhrases(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var all []phrase
	for _, list := range words {
		all = append(all, list...)
	}
	for i, in := range intents {
		all = append(all, in.says...)
		if len(asides[in.name]) == 0 {
			t.Errorf("no asides for %s", in.name)
		}
		for p := range priorities {
			all = append(all, cues(in, p)...)
			misread(random, i, p)
		}
	}
	all = append(append(append(all, greetings...), chatter...), closings...)
	for _, p := range all {
		for range 30 {
			if text := sentence(p.say(random)); text == "" || strings.Contains(text, " ,") || strings.Contains(text, " .") || strings.Contains(text, "..") {
				t.Errorf("phrase %q says %q", p, text)
			}
		}
	}
}

func TestGrammar(t *testing.T) {
	words := map[string][]phrase{"pet": {"cat"}}
	random := rand.New(rand.NewPCG(1, 1))
	seen := map[string]bool{}
	for range 200 {
		text, rest := expand(random, "[a|b[1|2]|] {pet}", words)
		if rest != "" {
			t.Fatalf("rest %q", rest)
		}
		seen[text] = true
	}
	for _, want := range []string{"a cat", "b1 cat", "b2 cat", " cat"} {
		if !seen[want] {
			t.Errorf("never said %q: %v", want, seen)
		}
	}
	if len(seen) != 4 {
		t.Errorf("said %v", seen)
	}
}
