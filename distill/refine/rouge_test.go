package refine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// lcsRef is the textbook's: row by row over all pairs of places.
func lcsRef(a, b []int32) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

func TestLCS(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	sizes := []int{0, 1, 7, 63, 64, 65, 127, 128, 129, 300}
	for _, n := range sizes {
		for _, m := range sizes {
			for _, vocabulary := range []int{1, 2, 10, 1000} {
				a, b := make([]int32, n), make([]int32, m)
				for i := range a {
					a[i] = int32(r.IntN(vocabulary))
				}
				for i := range b {
					b[i] = int32(r.IntN(vocabulary))
				}
				if got, want := lcs(a, b), lcsRef(a, b); got != want {
					t.Fatalf("%d and %d words of %d: %d, want %d", n, m, vocabulary, got, want)
				}
			}
		}
	}
}

func TestRougeL(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"the cat sat on the mat", "The cat, sat on the mat!", 1},
		{"police killed the gunman", "police kill the gunman", 0.75},                                       // Lin 2004, section 3: S2
		{"police killed the gunman", "the gunman kill police", 0.5},                                        // S3
		{"police killed the gunman", "the gunman police killed", 0.5},                                      // S4
		{"a b c d e f g", "a b x", 0.4},                                                                    // 2·2/(7+3)
		{"我忘记了密码", "我忘了密码", 10.0 / 11}, {"", "", 0}, {"?!", "?!", 0}, {"a", "b", 0}, {"naïve", "naive", 0}, // 2·5/(6+5)
	} {
		if got := RougeL(c.a, c.b); !(got-c.want < 1e-12 && c.want-got < 1e-12) || RougeL(c.b, c.a) != got {
			t.Errorf("%q and %q: %v, want %v both ways", c.a, c.b, got, c.want)
		}
	}
}

// prompts makes prompts of a support desk: many share most of their words.
func prompts(r *rand.Rand, n int) []string {
	pick := func(s string) string { f := strings.Split(s, "|"); return f[r.IntN(len(f))] }
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		if i > 0 && r.IntN(4) == 0 { // another one, with a word before or after
			texts[i] = pick("hello |so ||") + texts[r.IntN(i)] + pick("please|now|")
			continue
		}
		for range 1 + r.IntN(3) {
			b.WriteString(pick("how do i|why can't i|please help me to|i would like to|when can i|is it possible to") + " ")
			b.WriteString(pick("cancel|change|find|pay|return|activate|order|compare|block|renew|share") + " ")
			b.WriteString(pick("my|the|a|another|this|every") + " ")
			b.WriteString(pick("card|order|password|invoice|contract|parcel|refund|account|address|transfer") + " ")
			b.WriteString(pick("from|in|with|after|before|for") + " ")
			for range r.IntN(6) {
				b.WriteString(string(rune('a'+r.IntN(26))) + string(rune('a'+r.IntN(26))) + string(rune('a'+r.IntN(6))) + " ")
			}
		}
		texts[i] = b.String()
	}
	return texts
}

// The index finds exactly what comparing with every text finds.
func TestSimilarIndexAgainstEveryPair(t *testing.T) {
	for _, limit := range []float64{0.3, 0.7, 0.9, 1} {
		r := rand.New(rand.NewPCG(5, uint64(limit*100)))
		x := newSimilarIndex(limit)
		var kept []string
		found := 0
		for _, text := range prompts(r, 250) {
			want := slices.IndexFunc(kept, func(k string) bool { return RougeL(text, k) >= limit })
			got, f := x.find(text)
			if got != want || got >= 0 && f != RougeL(text, kept[got]) {
				t.Fatalf("limit %v: %q: %d, want %d", limit, text, got, want)
			}
			if got >= 0 {
				found++
			}
			kept = append(kept, text)
			x.add(text)
		}
		if found < 5 || found == 250 {
			t.Errorf("limit %v: %d of 250 were similar: the test shows little", limit, found)
		}
	}
}

func TestSimilarIndexOfOddTexts(t *testing.T) {
	x := newSimilarIndex(0.7)
	for _, text := range []string{"", "???", "a", strings.Repeat("word ", 5000), "card"} {
		x.add(text)
	}
	for text, want := range map[string]int{"": -1, "!": -1, "A": 2, strings.Repeat("word ", 2000): 3, "card, card": -1, "b": -1} {
		if got, _ := x.find(text); got != want {
			t.Errorf("%.20q: %d, want %d", text, got, want)
		}
	}
}

// BenchmarkSimilarTo50000 is the time to compare a new prompt with 50,000 others.
func BenchmarkSimilarTo50000(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	x := newSimilarIndex(0.7)
	for _, text := range prompts(r, 50_000) {
		x.add(text)
	}
	fresh := prompts(r, 1000)
	i := 0
	for b.Loop() {
		x.find(fresh[i%len(fresh)])
		i++
	}
}
