package redact

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// wordsRef marks the bytes that whole words cover: every entry at every place.
func wordsRef(text string, entries []string) []bool {
	marked := make([]bool, len(text))
	word := func(i int, before bool) bool { // a rune of a word beside i
		runes := []rune(text[i:])
		if before {
			runes = []rune(text[:i])
			slices.Reverse(runes)
		}
		return len(runes) > 0 && isWordRune(runes[0])
	}
	for _, entry := range entries {
		runes := []rune(entry)
		for i := range text {
			end := i + len(entry)
			if end > len(text) || !strings.EqualFold(text[i:end], entry) {
				continue
			}
			if isWordRune(runes[0]) && word(i, true) || isWordRune(runes[len(runes)-1]) && word(end, false) {
				continue
			}
			for k := i; k < end; k++ {
				marked[k] = true
			}
		}
	}
	return marked
}

func TestWordFinder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("aAbB é É-")
	random := func(n int) string {
		out := make([]rune, n)
		for i := range out {
			out[i] = alphabet[rng.IntN(len(alphabet))]
		}
		// Runs of white space are one in the finder, which the reference does not know.
		return strings.Join(strings.Fields(string(out)), " ")
	}
	for range 2000 {
		var entries []wordEntry
		var list []string
		for range 1 + rng.IntN(5) {
			if w := random(1 + rng.IntN(5)); hasWordRune(w) {
				entries, list = append(entries, wordEntry{w, 1}), append(list, w)
			}
		}
		if len(entries) == 0 {
			continue
		}
		text := random(40)
		got := make([]bool, len(text))
		newWordFinder(entries).find(text, func(start, end, kind int) {
			if kind != 1 {
				t.Fatalf("kind %d", kind)
			}
			for k := start; k < end; k++ {
				got[k] = true
			}
		})
		if want := wordsRef(text, list); !slices.Equal(got, want) {
			t.Fatalf("words %q in %q\n got %v\nwant %v", list, text, got, want)
		}
	}
}

func TestFoldCase(t *testing.T) {
	for r := range rune(0x20000) {
		for _, other := range []rune{unicode.ToUpper(r), unicode.ToLower(r)} {
			if strings.EqualFold(string(r), string(other)) && foldCase(r) != foldCase(other) {
				t.Fatalf("%c and %c fold to %c and %c", r, other, foldCase(r), foldCase(other))
			}
		}
	}
}

func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var spans []span
		covered := [40]bool{}
		for range rng.IntN(8) {
			start := rng.IntN(30)
			s := span{start, start + 1 + rng.IntN(9), rng.IntN(3)}
			spans = append(spans, s)
			for k := s.start; k < s.end; k++ {
				covered[k] = true
			}
		}
		text := fmt.Sprint(spans)
		merged := merge(slices.Clone(spans))
		for i, m := range merged {
			if i > 0 && m.start < merged[i-1].end {
				t.Fatalf("%s: %v overlap", text, merged)
			}
			longest := span{}
			for _, s := range spans {
				length, most := s.end-s.start, longest.end-longest.start
				if s.start >= m.start && s.end <= m.end && (length > most || length == most && s.kind < longest.kind) {
					longest = s
				}
			}
			if longest.kind != m.kind {
				t.Fatalf("%s: %v has kind %d, want %d", text, m, m.kind, longest.kind)
			}
			for k := m.start; k < m.end; k++ {
				if !covered[k] {
					t.Fatalf("%s: %v covers byte %d", text, m, k)
				}
				covered[k] = false
			}
		}
		if covered != [40]bool{} {
			t.Fatalf("%s: %v leaves some", text, merged)
		}
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"１２３":             "123",
		"a\u200bb\u00adc": "abc",
		"٣٤ ०१ 𝟗𝟎":        "34 01 90",
		"1\u00a02\u20093": "1 2 3",
		"1‑2–3−4":         "1-2-3-4",
		"Ａ＠ｂ：":            "A@b:",
		"é你\xff\xc3":      "é你\xff\xc3",
	} {
		f := fold(text)
		if f.text != want {
			t.Errorf("fold(%q) = %q, want %q", text, f.text, want)
		}
		if start, end := f.span(0, len(f.text)); start != 0 || end != len(text) {
			t.Errorf("%q: all of it is %d to %d of %d bytes", text, start, end, len(text))
		}
	}
	f := fold("x４\u200b１y")
	if start, end := f.span(1, 3); start != 1 || end != len("x４\u200b１") {
		t.Errorf("span %d to %d", start, end)
	}
	if start, end := f.span(1, 2); start != 1 || end != len("x４") {
		t.Errorf("span %d to %d", start, end)
	}
}
