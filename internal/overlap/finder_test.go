package overlap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func find(t testing.TB, o Options, read Reader, texts ...Text) *Result {
	t.Helper()
	dir := t.TempDir()
	f, err := NewFinder(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add(t.Context(), texts...); err != nil {
		t.Fatal(err)
	}
	r, err := f.Find(t.Context(), read)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return r
}

func TestKinds(t *testing.T) {
	long := "How do I activate the new card that came in the mail this morning?"
	r := find(t, Options{}, nil,
		Text{long, "a"},                  // 0
		Text{" " + long, "a "},           // 1 equal to 0
		Text{long, "b"},                  // 2 conflict with 0
		Text{long, "b"},                  // 3 equal to 2
		Text{"ab", "c"}, Text{"a", "bc"}, // 4, 5: nothing
		Text{strings.ToUpper(long), "a"}, // 6 near 0
		Text{"", ""}, Text{"", ""},       // 8 equal to 7
	)
	for _, c := range []struct {
		i    int
		k    Kind
		want int
	}{
		{1, Equal, 0}, {2, Conflict, 0}, {3, Equal, 2}, {6, Near, 0}, {8, Equal, 7}, {3, Near, 0}, {2, Near, 0},
		{0, Equal, -1}, {0, Near, -1}, {3, Conflict, -1}, {1, Conflict, -1}, {5, Conflict, -1}, {5, Near, -1},
		{5, Equal, -1}, {1, Near, -1}, {8, Near, -1}, {6, Equal, -1},
	} {
		if of, ok := r.Of(c.i, c.k); ok != (c.want >= 0) || ok && of != c.want {
			t.Errorf("text %d, %v: %d, %v; want %d", c.i, c.k, of, ok, c.want)
		}
	}
	if r.Counts != [3]int{3, 1, 3} || r.Texts != 9 {
		t.Errorf("counts %v of %d", r.Counts, r.Texts)
	}
	got := slices.Collect(r.Duplicates(Equal, Near))
	want := []Duplicate{{1, 0, Equal}, {2, 0, Near}, {3, 2, Equal}, {6, 0, Near}, {8, 7, Equal}}
	if !slices.Equal(got, want) {
		t.Errorf("duplicates %v", got)
	}
}

// A prompt with several responses is not near itself.
func TestComparePrompt(t *testing.T) {
	p := "please translate the following sentence into french"
	r := find(t, Options{Compare: ComparePrompt}, nil, Text{p, "a"}, Text{p, "b"}, Text{p + ".", "c"}, Text{p + ".", "d"})
	got := slices.Collect(r.Duplicates(Near))
	if !slices.Equal(got, []Duplicate{{2, 0, Near}, {3, 0, Near}}) {
		t.Errorf("near %v", got)
	}
	if r.Counts != [3]int{0, 2, 2} {
		t.Errorf("counts %v", r.Counts)
	}
}

func TestNormalizedEqual(t *testing.T) {
	a, b := "Ｆull  width, CASE", "full width case"
	all := Normalize{Unicode: true, Case: true, Space: true, Punctuation: true}
	for _, without := range []Normalize{{true, true, true, false}, {true, true, false, true}, {true, false, true, true}, {false, true, true, true}} {
		if without.apply(a) == without.apply(b) {
			t.Errorf("%+v: equal", without)
		}
	}
	r := find(t, Options{Normalize: all, ExactOnly: true}, nil, Text{a, ""}, Text{b, ""})
	if _, ok := r.Of(1, Equal); !ok || r.Counts[Near] != 0 {
		t.Error("not equal")
	}
}

func TestShortTexts(t *testing.T) {
	r := find(t, Options{}, nil, Text{"ab", ""}, Text{"abc", ""}, Text{"AB", ""}, Text{"你好", ""}, Text{"你们", ""}, Text{"1+2", ""}, Text{"1-2", ""})
	if got := slices.Collect(r.Duplicates(Equal, Near)); !slices.Equal(got, []Duplicate{{2, 0, Near}}) {
		t.Errorf("got %v", got)
	}
}

// edited gives texts in groups: a random one, and copies with ever more edits.
func edited(seed uint64, groups int) []Text {
	r := rand.New(rand.NewPCG(seed, 2))
	var out []Text
	for range groups {
		base := make([]rune, 60+r.IntN(200))
		for i := range base {
			base[i] = 'a' + rune(r.IntN(20))
		}
		for edits := range 8 {
			text := slices.Clone(base)
			for range edits * len(base) / 150 {
				text[r.IntN(len(text))] = '中' + rune(r.IntN(50))
			}
			out = append(out, Text{string(text), ""})
		}
	}
	return out
}

// Every pair within a group is compared by sets of strings.
func TestAgainstBruteForce(t *testing.T) {
	texts := edited(5, 250)
	o := Options{}.withDefaults()
	estimated := find(t, o, nil, texts...)
	exact := find(t, o, func(_ context.Context, i int) (Text, error) { return texts[i], nil }, texts...)
	sets := make([]map[string]bool, len(texts))
	for i, text := range texts {
		sets[i] = map[string]bool{}
		runes := []rune(text.Prompt)
		for j := range len(runes) - 4 {
			sets[i][string(runes[j:j+5])] = true
		}
	}
	same := func(r *Result, i, j int) bool { return r.near[r.whole[i]] == r.near[r.whole[j]] }
	f := newForest(len(texts))
	found, pairs, wrong := 0, 0, 0
	for g := 0; g < len(texts); g += 8 {
		for i := g; i < g+8; i++ {
			for j := g; j < i; j++ {
				jac := plainJaccard(sets[i], sets[j])
				if jac >= o.Threshold {
					f.unite(uint32(i), uint32(j))
				}
				if jac >= o.Threshold+0.07 { // two standard errors
					if pairs++; same(estimated, i, j) {
						found++
					}
				}
			}
		}
	}
	missed, near := 0, 0
	for i := range texts {
		for j := i / 8 * 8; j < i; j++ {
			want := f.root(uint32(i)) == f.root(uint32(j))
			if want {
				near++
			}
			if want && !same(exact, i, j) {
				missed++
			}
			if !want && same(exact, i, j) {
				wrong++
			}
		}
		if int(estimated.near[i])/8 != i/8 || int(exact.near[i])/8 != i/8 {
			t.Fatalf("text %d joined to another group", i)
		}
	}
	t.Logf("%d pairs two errors above the threshold, %d found by estimate; %d pairs in clusters, exact: %d missed, %d wrong", pairs, found, near, missed, wrong)
	if pairs < 500 || float64(found) < 0.98*float64(pairs) {
		t.Errorf("estimate finds %d of %d", found, pairs)
	}
	if wrong > 0 || float64(missed) > 0.02*float64(near) {
		t.Errorf("exact: %d wrong, %d of %d missed", wrong, missed, near)
	}
}

func plainJaccard(a, b map[string]bool) float64 {
	both := 0
	for s := range a {
		if b[s] {
			both++
		}
	}
	return float64(both) / float64(len(a)+len(b)-both)
}

func TestSameOnAnyProcessorsAndMemory(t *testing.T) {
	texts := edited(9, 300)
	one := find(t, Options{}, nil, texts...)
	old := runtime.GOMAXPROCS(1)
	two := find(t, Options{Memory: 1 << 20}, nil, texts...)
	runtime.GOMAXPROCS(old)
	if !reflect.DeepEqual(one, two) {
		t.Error("results differ")
	}
	if one.Counts[Near] < 300 {
		t.Errorf("only %d near", one.Counts[Near])
	}
}

// All texts share long boilerplate: work stays linear, and they are one cluster.
func TestBoilerplate(t *testing.T) {
	var texts []Text
	boiler := strings.Repeat("all rights reserved, see the terms. ", 3) + "what is the capital of the region and who lives there? "
	for i := range 3000 {
		texts = append(texts, Text{fmt.Sprint(boiler, i), ""})
	}
	r := find(t, Options{}, nil, texts...)
	if r.Counts[Near] < 2990 || r.LargeBuckets == 0 {
		t.Errorf("%d near, %d large buckets", r.Counts[Near], r.LargeBuckets)
	}
}

func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	f, err := NewFinder(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.Add(ctx, edited(1, 200)...); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := f.Find(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.Close()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := f.Add(t.Context(), Text{}); err == nil {
		t.Error("added to a closed finder")
	}
}

func TestReaderErrorNamesTexts(t *testing.T) {
	texts := []Text{{"the same long enough sentence", ""}, {"The same long enough sentence", ""}}
	f, _ := NewFinder(t.TempDir(), Options{})
	defer f.Close()
	f.Add(t.Context(), texts...)
	_, err := f.Find(t.Context(), func(context.Context, int) (Text, error) { return Text{}, errors.New("gone") })
	if err == nil || err.Error() != "near duplicates: comparing texts 0 and 1: gone" {
		t.Errorf("got %v", err)
	}
}

func TestOptionsNameFaults(t *testing.T) {
	err := Options{Threshold: 1.5, Compare: "x", Unit: "y", Shingle: -1, Sketch: 3, Memory: 5}.Validate()
	for _, key := range []string{"threshold: ", "compare: ", "unit: ", "shingle: ", "sketch: ", "memory: "} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key) {
			t.Errorf("no %q in %v", key, err)
		}
	}
	if err := (Options{Threshold: 0.01}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "threshold: ") {
		t.Errorf("a threshold that bands cannot find: %v", err)
	}
	err = IndexOptions{N: -1, MinWords: -1, MinShare: 2}.Validate()
	for _, key := range []string{"n: ", "min_words: ", "min_share: "} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key) {
			t.Errorf("no %q in %v", key, err)
		}
	}
	if err := errors.Join(Options{}.Validate(), IndexOptions{}.Validate()); err != nil {
		t.Error(err)
	}
}
