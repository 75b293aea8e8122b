package refine_test

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill/refine"
)

func TestFinalNumber(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{ // want: a fraction, or "" for none
		// Places.
		{"GSM8K", "She sells 9 * 2 = <<9*2=18>>18.\n#### 18", "18"},
		{"GSM8K with groups", "#### 1,234,567", "1234567"},
		{"GSM8K with a currency and a full stop", "#### -$5.50.", "-11/2"},
		{"GSM8K with a unit, as last line", "so 3 + 4 = 7\n#### 7 apples\n", "7"},
		{"GSM8K before a remark", "#### 42\nI hope that helps with your 3 questions.", "42"},
		{"a Markdown heading is no answer", "#### Step 1: add\n2 + 2 = 4\n#### Step 2: answer\nThe total is 4 euros.", "4"},
		{"a heading with a number is none", "#### 1. Count the boxes\nThere are 12 boxes.\n", "12"},
		{"boxed", `We get \(x = 3\), thus \boxed{12} and not 15.`, "12"},
		{"boxed fraction", `\boxed{\frac{3}{4}}`, "3/4"},
		{"boxed text", `\[\boxed{\text{\$1{,}250.50}}\]`, "2501/2"},
		{"boxed equation", `$\boxed{x = 7}$`, "7"},
		{"boxed, cut", `The result is 5. \boxed{17`, "17"},
		{"boxed without number", `There are 5 cases. \boxed{\text{none}}`, ""},
		{"recorded", "She makes $224 a day in 7 days\nA: 224", "224"},
		{"the answer is", "Adding 5 and 7, the answer is 12. That took 3 steps.", "12"},
		{"the answer is an equation", "The answer is 3 + 4 = 7 apples.", "7"},
		{"the last of several", "The answer is 5. Wait, I forgot one. The answer is 6.", "6"},
		{"emphasis", "**Final Answer:** 1,024 bytes out of 2,048", "1024"},
		{"emphasis inside", "**Answer: 15 km**\n\nLet me know if 15 km is wrong by 1.", "15"},
		{"the line after", "Final answer:\n\n42\n", "42"},
		{"nothing to say", "There are 7 of them.\nAnswer: it cannot be known", ""},
		{"announced in German", "Es sind 3 Kisten zu 4 kg. Die Antwort ist 12,5 kg, nicht 13.", "25/2"},
		{"announced in French", "La réponse est 1\u00a0234,5 euros pour 2 personnes", "2469/2"},
		{"announced in Chinese", "每盒5个，共3盒。答案是15个。用了2步。", "15"},
		{"announced in Russian", "Сложим 2 и 3.\nОтвет: 5", "5"},
		{"last number", "First 3, then 4, so it is 7 dollars.", "7"},
		{"no number", "I do not know.", ""},
		{"empty", "", ""},
		// Numbers.
		{"decimal", "3.14", "157/50"},
		{"no zero", "it is .5", "1/2"},
		{"trailing full stop", "It is 42.", "42"},
		{"minus sign", "It is −3", "-3"},
		{"sign after the currency", "$-3", "-3"},
		{"a difference", "from 16-3", "3"},
		{"a dash", "between 3 - 4", "4"},
		{"a name", "as GPT-4", "4"},
		{"inside a word", "H2O and x2", ""},
		{"a unit", "5kg", "5"},
		{"groups", "1,234,567.89", "123456789/100"},
		{"European", "1.234.567,89", "123456789/100"},
		{"European without decimals", "1.234.567", "1234567"},
		{"European small", "1.234,5", "2469/2"},
		{"decimal comma", "12,5", "25/2"},
		{"decimal comma, three digits after zero", "0,125", "1/8"},
		{"decimal point, three digits", "1.234", "617/500"},
		{"Swiss", "1'234'567", "1234567"},
		{"no-break spaces", "1\u202f234\u00a0567", "1234567"},
		{"a list", "1,2,3", "3"},
		{"a list with spaces", "7, 8, 9", "9"},
		{"an address", "192.168.1.17", "17"},
		{"fraction", "3/4 of it", "3/4"},
		{"mixed", "2 1/2 cups", "5/2"},
		{"a sign for a fraction", "1½ cups", "3/2"},
		{"LaTeX fraction", `\dfrac{-7}{2}`, "-7/2"},
		{"over zero", "1/0", ""},
		{"a date", "on 3/4/2024", ""},
		{"percent", "50%", "50"},
		{"exponent", "1.5e3", "1500"},
		{"power of ten", "2.5 × 10^3", "2500"},
		{"LaTeX power", `2 \times 10^{-2}`, "1/50"},
		{"huge exponent", "1e999999", ""},
		{"huge exponent of ten", "7 * 10^99999999", ""},
		{"Arabic digits", "٤٢", "42"},
		{"full-width digits", "１２３．５", "247/2"},
		{"invalid bytes", "\xff7\xfe", "7"},
	} {
		got := ""
		if n, ok := refine.FinalNumber(c.text); ok {
			got = n.Value.RatString()
		}
		if got != c.want {
			t.Errorf("%s: %q: %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestNumbersEqual(t *testing.T) {
	for _, c := range []struct {
		a, b      string
		tolerance float64
		want      bool
	}{
		{"0.5", "1/2", 0, true}, {"18", "18.00", 0, true}, {"$1,000", "1000", 0, true}, {"1e3", "1000", 0, true},
		{"50%", "50", 0, true}, {"50%", "0.5", 0, true}, {"0.5", "50 percent", 0, true}, {"50%", "50%", 0, true},
		{"50%", "0.5%", 0, false}, {"50%", "5", 0, false},
		{"3", "4", 0, false}, {"3", "-3", 0, false}, {"0.333", "1/3", 0, false},
		{"0.333", "1/3", 0.001, true}, {"3.14", "3.15", 0.009, false}, {"3.1", "3.4", 0.3, true}, {"3.14", "3.1499", 0.01, true}, {"10", "12", 2, true}, {"10", "12.1", 2, false},
	} {
		a, _ := refine.FinalNumber(c.a)
		b, _ := refine.FinalNumber(c.b)
		if got := a.Equal(b, c.tolerance); got != c.want || b.Equal(a, c.tolerance) != c.want {
			t.Errorf("%s and %s within %v: %v, want %v both ways", c.a, c.b, c.tolerance, got, c.want)
		}
	}
}

func TestFinalNumberOfHugeTexts(t *testing.T) {
	if n, ok := refine.FinalNumber("#### 5" + strings.Repeat("\nword", 20_000)); ok {
		t.Errorf("%+v: further than the end", n)
	}
	for name, text := range map[string]string{
		"digits":      strings.Repeat("9", 1<<20),
		"list":        strings.Repeat("1,", 1<<19) + "7",
		"numbers":     strings.Repeat("17 ", 1<<18),
		"no number":   strings.Repeat("word ", 1<<18),
		"boxes":       strings.Repeat(`\boxed{`, 1<<17),
		"fractions":   strings.Repeat(`\frac{1}{2}`, 1<<16),
		"slashes":     strings.Repeat("1/", 1<<19),
		"answers":     strings.Repeat("the answer is ", 1<<16),
		"hash lines":  strings.Repeat("#### 5 x\n", 1<<16),
		"equal signs": "the answer is 5" + strings.Repeat(" =", 1<<19),
	} {
		start := time.Now()
		n, ok := refine.FinalNumber(text)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: %v", name, d)
		}
		if ok && n.Value.Num().BitLen() > 4000 {
			t.Errorf("%s: a number of %d bits", name, n.Value.Num().BitLen())
		}
	}
}

func FuzzFinalNumber(f *testing.F) {
	for _, s := range []string{"#### 18", `\boxed{\frac{1}{2}}`, "A: $1,234.5", "1.234.567,8", "50% of 2 1/2", "1e400", "२३", "the answer is 3=", "-", "1,,2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := refine.FinalNumber(text)
		if !ok {
			return
		}
		if n.Value == nil || n.Text == "" || !n.Equal(n, 0) {
			t.Fatalf("%q: %+v", text, n)
		}
		// A whole number is found again where GSM8K's answers have it.
		if n.Value.IsInt() && n.Value.Num().CmpAbs(big.NewInt(1e15)) < 0 {
			again, ok := refine.FinalNumber("#### " + n.Value.RatString())
			if !ok || again.Value.Cmp(n.Value) != 0 {
				t.Fatalf("%q: %s, and then %+v", text, n.Value, again)
			}
		}
	})
}
