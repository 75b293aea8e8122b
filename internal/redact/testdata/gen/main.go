// Command gen writes labelled.jsonl, the texts on which precision and recall of
// the built-in kinds are measured: every sentence below with every value of
// its kind, or a share of them, and texts without anything. All numbers are
// published examples or made up. Run it in this directory: go run . > ../labelled.jsonl
package main

import (
	"encoding/json"
	"log"
	"os"
	"slices"
	"strings"
)

type span struct {
	Kind  string `json:"kind"`
	Start int    `json:"start"` // in bytes
	End   int    `json:"end"`
}

type example struct {
	Text  string `json:"text"`
	Spans []span `json:"spans"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	write := func(e example) {
		if e.Spans == nil {
			e.Spans = []span{}
		}
		if err := out.Encode(e); err != nil {
			log.Fatal(err)
		}
	}
	for _, kind := range slices.Sorted(mapKeys(values)) {
		for i, v := range strings.Split(strings.TrimSpace(values[kind]), "\n") {
			list := sentences[kind]
			for k := range 2 { // two sentences for every value
				write(label(list[(i+k*7)%len(list)], kind, v))
			}
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(mixed+strings.TrimSpace(second)), "\n") {
		write(label(line, "", ""))
	}
	for line := range strings.SplitSeq(strings.TrimSpace(negatives+strings.TrimSpace(code)), "\n") {
		write(example{Text: line})
	}
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// label replaces {} by the value and {kind|value} by its value.
func label(text, kind, value string) (e example) {
	text = strings.ReplaceAll(text, "{}", "{"+kind+"|"+value+"}")
	text = strings.ReplaceAll(text, `\n`, "\n")
	for {
		before, rest, found := strings.Cut(text, "{")
		e.Text += before
		if !found {
			return e
		}
		inside, after, _ := strings.Cut(rest, "}")
		kind, value, _ := strings.Cut(inside, "|")
		e.Spans = append(e.Spans, span{kind, len(e.Text), len(e.Text) + len(value)})
		e.Text += value
		text = after
	}
}
