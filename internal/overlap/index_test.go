package overlap

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func newIndex(t *testing.T, o IndexOptions, items ...string) *Index {
	t.Helper()
	ix, err := NewIndex(o)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range items {
		if err := ix.AddItem(fmt.Sprint("item", i), text); err != nil {
			t.Fatal(err)
		}
	}
	return ix
}

// Words of a small vocabulary share many runs by chance.
func TestIndexAgainstBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	random := func(n int) string {
		var w []string
		for range n {
			w = append(w, string(rune('a'+r.IntN(3))))
		}
		return strings.Join(w, " ")
	}
	const n, least = 5, 3
	var items []string
	for range 40 {
		items = append(items, random(r.IntN(20)))
	}
	ix := newIndex(t, IndexOptions{N: n, MinWords: least}, items...)
	for range 300 {
		text := random(r.IntN(30))
		got := map[int]Match{}
		for _, m := range ix.Match(text) {
			got[m.Item] = m
		}
		for i, item := range items {
			words := strings.Fields(item)
			runs, all := map[string]bool{}, strings.Fields(text)
			size := min(n, len(words))
			for at := 0; size >= least && at+size <= len(words); at++ {
				runs[strings.Join(words[at:at+size], " ")] = true
			}
			both, places := map[string]bool{}, 0
			for at := 0; at+size <= len(all); at++ {
				if g := strings.Join(all[at:at+size], " "); runs[g] {
					both[g], places = true, places+1
				}
			}
			m, ok := got[i]
			if ok != (len(both) > 0) || m.Shared != len(both) {
				t.Fatalf("%q in %q: %+v, want %d", item, text, m, len(both))
			}
			if ok && (math.Abs(m.OfItem-float64(len(both))/float64(len(runs))) > 1e-12 ||
				math.Abs(m.OfText-float64(places)/float64(len(all)-size+1)) > 1e-12 || !strings.Contains(text, m.Span) || len(strings.Fields(m.Span)) < size) {
				t.Fatalf("%q in %q: %+v", item, text, m)
			}
		}
	}
}

func TestMatchForPeople(t *testing.T) {
	ix := newIndex(t, IndexOptions{N: 6, MinWords: 4},
		"Natalia sold clips to 48 of her friends in April, and then she sold half as many in May.",
		"What is the ＣＡＰＩＴＡＬ?", "too short", "一二三四五六七八")
	if all, short := ix.Items(); all != 4 || short != 1 {
		t.Errorf("%d items, %d short", all, short)
	}
	got := ix.Match("Q: natalia sold\n clips to 48 of HER friends! Also: «what is the capital», 甲二三四五六七乙. too short")
	want := []string{"natalia sold\n clips to 48 of HER friends", "what is the capital", "二三四五六七"}
	if len(got) != 3 {
		t.Fatalf("got %+v", got)
	}
	for i, m := range got {
		if m.Span != want[i] {
			t.Errorf("span %q, want %q", m.Span, want[i])
		}
	}
	if got[0].Shared != 3 || got[1].OfItem != 1 || got[2].ID != "item3" {
		t.Errorf("got %+v", got)
	}
	if ix.Match("") != nil || ix.Match("nothing to see") != nil {
		t.Error("matches in nothing")
	}
}

func TestTallyBothDirections(t *testing.T) {
	ix := newIndex(t, IndexOptions{N: 2, MinShare: 0.5}, "a b c d e", "v w", "x y")
	tally := NewTally(ix)
	drops := []bool{false, false, true, true}
	for i, text := range []string{"nothing here", "a b", "v w a b", "z v w a b c"} {
		if got := tally.Add(i, ix.Match(text)); got != drops[i] {
			t.Errorf("%q: %v", text, got)
		}
	}
	if tally.Texts != 4 || tally.Matching != 3 || tally.Contaminated != 2 || tally.Items != 2 || tally.ItemsWhole != 1 {
		t.Errorf("%+v", tally)
	}
	if !tally.Found(0) || !tally.Found(1) || tally.Found(2) {
		t.Error("found the wrong items")
	}
	if len(tally.Examples) != 2 || tally.Examples[0].Text != 2 || tally.Examples[0].Span != "v w" {
		t.Errorf("examples %+v", tally.Examples)
	}
	for i := range 2 * maxExamples {
		tally.Add(i, ix.Match("v w"))
	}
	if len(tally.Examples) != maxExamples {
		t.Errorf("%d examples", len(tally.Examples))
	}
}

func TestBoilerplateOfItems(t *testing.T) {
	var items []string
	for i := range 3 * maxItems {
		items = append(items, fmt.Sprint("answer with one letter only ", i))
	}
	ix := newIndex(t, IndexOptions{N: 5}, items...)
	if got := ix.Match("please answer with one letter only"); len(got) != maxItems {
		t.Errorf("%d items", len(got))
	}
	if got := ix.Match("with one letter only 191"); len(got) != 1 || got[0].Item != 191 {
		t.Errorf("got %+v", got)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("one two three four five six", "two three four \xff five")
	f.Add("你好世界你好世界", "世界你好世")
	f.Fuzz(func(t *testing.T, item, text string) {
		ix := newIndex(t, IndexOptions{N: 3, MinWords: 1}, item)
		for _, m := range ix.Match(text) {
			if !strings.Contains(text, m.Span) || m.OfItem <= 0 || m.OfItem > 1 || m.OfText <= 0 || m.OfText > 1 {
				t.Errorf("%+v", m)
			}
		}
		if words, _ := itemWords(item); len(words) > 0 {
			if m := ix.Match("x " + item + " y"); len(m) != 1 || m[0].OfItem != 1 {
				t.Errorf("%q is not found in itself: %+v", item, m)
			}
		}
	})
}
