package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// matches returns what a regular expression matches in a text.
func matches(re *regex, s string) []string {
	out := []string{}
	re.spans(s, func(start, end int) { out = append(out, fmt.Sprintf("%d:%s", start, s[start:end])) })
	return out
}

func randomText(r *rand.Rand, alphabet string, n int) string {
	runes := []rune(alphabet)
	var b strings.Builder
	for range n {
		b.WriteRune(runes[r.IntN(len(runes))])
	}
	return b.String()
}

// The scanners written by hand cut as the expressions that they are named for.
func TestKnownRegexesAgainstTheirSource(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for source, scan := range knownRegexes {
		re, err := compileRegex(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		for range 3000 {
			s := randomText(r, "abZé1½2 \t\n\r\u00a0\u3000\u0085'sStTlLrReEvVmMdDſK.,$日\u0301😀\x00", r.IntN(24))
			var want []string
			for at := 0; at < len(s); {
				n := scan(s[at:])
				want = append(want, fmt.Sprintf("%d:%s", at, s[at:at+n]))
				at += n
			}
			if got := matches(re, s); !slices.Equal(got, want) {
				t.Fatalf("%s\nof %q\n by hand %q\n in general %q", source, s, want, got)
			}
		}
	}
}

// What Go's regexp can express means the same there.
func TestRegexAgainstGo(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	var random func(depth int) string
	random = func(depth int) string {
		if depth == 0 {
			return []string{"a", "b", "[ab]", "[^b]", `\n`, ".", "é", `\p{L}`, "(?i:A)"}[r.IntN(9)]
		}
		one := func() string { return random(r.IntN(depth)) }
		switch r.IntN(6) {
		case 0:
			return one() + one()
		case 1:
			return "(" + one() + "|" + one() + ")"
		case 2:
			return "(?:" + one() + ")" + []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{1,}"}[r.IntN(10)]
		case 3:
			return one() + one() + one()
		case 4:
			return "(" + one() + "|" + one() + "|)"
		}
		return []string{`\A`, `\z`, "(?:a|ab)"}[r.IntN(3)] + one()
	}
	for range 3000 {
		source := random(4)
		re, err := compileRegex(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		ref := regexp.MustCompile(source)
		for range 5 {
			s := randomText(r, "abéA\n", r.IntN(10))
			want := []string{}
			for _, m := range ref.FindAllStringIndex(s, -1) {
				want = append(want, fmt.Sprintf("%d:%s", m[0], s[m[0]:m[1]]))
			}
			if got := matches(re, s); !slices.Equal(got, want) {
				t.Fatalf("%s of %q\n got %q\nwant %q", source, s, got, want)
			}
		}
	}
}

func TestRegex(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          []string
	}{
		{`a(?=b)`, "abaab", []string{"0:a", "3:a"}},
		{`a(?!b)`, "abaab", []string{"2:a"}},
		{`(?<=a|xx)b`, "abxxbb", []string{"1:b", "4:b"}},
		{`(?<!a)b`, "abb", []string{"2:b"}},
		{`a++a`, "aaa", nil},
		{`(?>a|ab)c`, "abcac", []string{"3:ac"}},
		{`a?+a`, "aa", []string{"0:aa"}},
		{`\d{1,3}(?=(?:\d{3})*\b)`, "1234567 12", []string{"0:1", "1:234", "4:567", "8:12"}},
		{`(?=(\d{3})+(?!\d))`, "12345", []string{"2:"}},
		{`[\p{L}&&[^aé]]+`, "abcé日", []string{"1:bc", "5:日"}},
		{`[a[bc]-]+`, "xa-cb", []string{"1:a-cb"}},
		{`[]a]+`, "]a[", []string{"0:]a"}},
		{`[^\S\n]+`, " \t\n ", []string{"0: \t", "3: "}},
		{`\h+\H`, "fFg", []string{"0:fFg"}},
		{`(?i)straſse|K`, "STRASSE \u212a", []string{"0:STRASSE", "8:\u212a"}},
		{`a(?i)b|c`, "aB C ab", []string{"0:aB", "3:C", "5:ab"}},
		{`^b$`, "a\nb\nc", []string{"2:b"}},
		{`(?m:a.b)`, "a\nb", []string{"0:a\nb"}},
		{`a{,2}b`, "aaab", []string{"1:aab"}},
		{`x{a}`, "x{a}", []string{"0:x{a}"}},
		{`\x{65e5}\u0041\x42\.`, "日AB.", []string{"0:日AB."}},
		{`[[:alpha:]]+\Z`, "ab1cd\n", []string{"3:cd"}},
		{`\p{Han}+|\p{^Latin}`, "日本a!", []string{"0:日本", "7:!"}},
		{`\p{Lowercase_Letter}\P{L}`, "aB b1", []string{"3:b1"}},
		{`(?<word>a)b`, "ab", []string{"0:ab"}},
		{`(?=(?:a*)+b).`, "aab", []string{"0:a", "1:a", "2:b"}},
		{`x*`, "axx", []string{"0:", "1:xx"}},
	} {
		re, err := compileRegex(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := matches(re, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s of %q = %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
}

func TestRegexRefuses(t *testing.T) {
	for _, bad := range []string{
		`(`, `)`, `a)`, `[a`, `[z-a]`, `\`, `*a`, `(a)\1`, `\Qa`, `\G`, `\R`, `\X`, `\K`, `\pL`, `\p{`, `\p{Nope}`, `(?s:.)`, `(?x)a`, `(?<=a+)b`,
		`\xzz`, `\u12`, `\x{110000}`, `a{1001}`, `a{3,2}`, `(?'n'a)`, `(?~a)`, `[[:nope:]]`, "(?#comment)a", `(?<n`,
		strings.Repeat("(", 200) + strings.Repeat(")", 200), strings.Repeat("[", 200) + "a" + strings.Repeat("]", 200),
		`((((a{100}){100}){100}){100})`,
	} {
		if _, err := compileRegex(bad); err == nil {
			t.Errorf("%.40s: no error", bad)
		}
	}
}

// Backtracking alone takes exponential time for these.
func TestRegexTakesLinearTime(t *testing.T) {
	for _, pattern := range []string{`(a|a)*b`, `(a*)*b`, `(a+)+$b`, `(?:a?){50}a{50}b`, `\s+$`, `.*.*=`} {
		re, err := compileRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{strings.Repeat("a", 100_000), strings.Repeat(" ", 100_000) + "x"} {
			start := time.Now()
			matches(re, s)
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("%s: %d bytes took %v", pattern, len(s), d)
			}
		}
	}
}
