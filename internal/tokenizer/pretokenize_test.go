package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestPreTokenizers(t *testing.T) {
	regex := func(p, behavior string, invert bool) string {
		data, err := json.Marshal(object{"type": "Split", "pattern": object{"Regex": p}, "behavior": behavior, "invert": invert})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	split := func(behavior string) string {
		return `{"type":"Split","pattern":{"String":"-"},"behavior":"` + behavior + `","invert":false}`
	}
	metaspace := func(rest string) string { return `{"type":"Metaspace","replacement":"▁"` + rest + `}` }
	for _, c := range []struct {
		name, json, text string
		want             []string
	}{
		{"gpt2", regex(gpt2Regex, "Isolated", false), "I'll  go, it's 42½ ok'\n\n x \t", []string{"I", "'ll", " ", " go", ",", " it", "'s", " 42½", " ok", "'", "\n\n", " x", " \t"}},
		{"gpt2 keeps case", regex(gpt2RegexShort, "Isolated", false), "it'S 'Re", []string{"it", "'", "S", " '", "Re"}},
		{"gpt2 no-break space", regex(gpt2Regex, "Isolated", false), "a\u00a0b  c", []string{"a", "\u00a0", "b", " ", " c"}},
		{"llama3", regex(llama3Regex, "Isolated", false), "I'LL go,\n\n x12345 (yes)\r\n  \n  z!", []string{"I", "'LL", " go", ",\n\n", " x", "123", "45", " (", "yes", ")\r\n", "  \n", " ", " z", "!"}},
		{"llama3 marks and long s", regex(llama3Regex, "Isolated", false), "a'ſ é\u0301 .b", []string{"a", "'ſ", " é", "\u0301", " .", "b"}},
		{"llama3 tab before word", regex(llama3Regex, "Isolated", false), "\tx\n\ty \n", []string{"\tx", "\n", "\ty", " \n"}},
		{"llama3 newline first", regex(llama3Regex, "Isolated", false), "\n  x", []string{"\n", " ", " x"}},
		{"qwen2 digits", regex(qwen2Regex, "Isolated", false), "12 345", []string{"1", "2", " ", "3", "4", "5"}},
		{"regex with classes", regex(`\d{1,3}|\w+[^\s]`, "Isolated", false), "٣45 déjà!", []string{"٣45", " ", "déjà!"}},
		{"regex lines", regex(`^a|b$`, "Removed", false), "ab\nab", []string{"\n"}},
		{"removed", split("Removed"), "a-b--c", []string{"a", "b", "c"}},
		{"isolated", split("Isolated"), "a-b--c", []string{"a", "-", "b", "-", "-", "c"}},
		{"merged with previous", split("MergedWithPrevious"), "-a-b--c", []string{"-", "a-", "b-", "-", "c"}},
		{"merged with next", split("MergedWithNext"), "a-b--c-", []string{"a", "-b", "-", "-c", "-"}},
		{"contiguous", split("Contiguous"), "a-b--c", []string{"a", "-", "b", "--", "c"}},
		{"invert", regex(`[ab]+`, "Removed", true), "xabyba", []string{"ab", "ba"}},
		{"digits", `{"type":"Digits","individual_digits":false}`, "a12b½", []string{"a", "12", "b", "½"}},
		{"single digits", `{"type":"Digits","individual_digits":true}`, "a12b", []string{"a", "1", "2", "b"}},
		{"punctuation", `{"type":"Punctuation"}`, "a,$b«c», €", []string{"a", ",", "$", "b", "«", "c", "»", ",", " €"}},
		{"punctuation contiguous", `{"type":"Punctuation","behavior":"Contiguous"}`, "a...b", []string{"a", "...", "b"}},
		{"whitespace", `{"type":"Whitespace"}`, "Hey, you_2 \t--ok\u0301", []string{"Hey", ",", "you_2", "--", "ok\u0301"}},
		{"whitespace split", `{"type":"WhitespaceSplit"}`, " a,b\u3000c ", []string{"a,b", "c"}},
		{"bert", `{"type":"BertPreTokenizer"}`, " a,b\u3000$c ", []string{"a", ",", "b", "$", "c"}},
		{"scripts", `{"type":"UnicodeScripts"}`, " どこ のー駅 Train xя1", []string{"どこ のー駅 ", "Train x", "я", "1"}},
		{"delimiter", `{"type":"CharDelimiterSplit","delimiter":"-"}`, "-a--b", []string{"a", "b"}},
		{"look-around", regex(`(?<=a)(?=b)`, "Isolated", false), "abab", []string{"a", "ba", "b"}},
		{"digits from the right", regex(`\d{1,3}(?=(?:\d{3})*\b)`, "Isolated", false), "x 1234567", []string{"x ", "1", "234", "567"}},
		{"metaspace", metaspace(``), "a  b", []string{"▁a", "▁", "▁b"}},
		{"metaspace with its own", metaspace(``), " a", []string{"▁a"}},
		{"metaspace whole", metaspace(`,"prepend_scheme":"always","split":false`), "a b", []string{"▁a▁b"}},
		{"metaspace never", metaspace(`,"prepend_scheme":"never"`), "a b", []string{"a", "▁b"}},
		{"metaspace of old files", metaspace(`,"str_rep":"▁","add_prefix_space":false`), "a b", []string{"a", "▁b"}},
		{"metaspace first", `{"type":"Sequence","pretokenizers":[` + split("Removed") + `,` + metaspace(`,"prepend_scheme":"first"`) + `]}`, "a-b", []string{"▁a", "b"}},
		{"byte-level", `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true}`, "é x", []string{"ĠÃ©", "Ġx"}},
		{"byte-level uncut", `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`, "a b\x00", []string{"aĠbĀ"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pre, err := parsePreTokenizer(json.RawMessage(c.json))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range cutPieces(pre, []piece{{text: text{s: c.text}, id: -1, first: true}}) {
				got = append(got, w.s)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s of %q\n got %q\nwant %q", c.json, c.text, got, c.want)
			}
		})
	}
}

func TestNormalizers(t *testing.T) {
	for _, c := range []struct{ name, json, text, want string }{
		{"none", `null`, " A ", " A "},
		{"prepend", `{"type":"Prepend","prepend":"▁"}`, "a", "▁a"},
		{"prepend to nothing", `{"type":"Prepend","prepend":"▁"}`, "", ""},
		{"replace", `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`, "a  b", "a▁▁b"},
		{"replace regex", `{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}`, "a   b c", "a▁b c"},
		{"replace takes text as it is", `{"type":"Replace","pattern":{"Regex":"(?:b)"},"content":"$0"}`, "abc", "a$0c"},
		{"lowercase", `{"type":"Lowercase"}`, "ÀΣİ", "àσi̇"},
		{"NFC", `{"type":"NFC"}`, "e\u0301ﬁ", "éﬁ"},
		{"NFD", `{"type":"NFD"}`, "éﬁ", "e\u0301ﬁ"},
		{"NFKC", `{"type":"NFKC"}`, "e\u0301ﬁ", "éfi"},
		{"NFKD", `{"type":"NFKD"}`, "éﬁ", "e\u0301fi"},
		{"strip", `{"type":"Strip","strip_left":true,"strip_right":true}`, "\u3000 a \n", "a"},
		{"strip left", `{"type":"Strip","strip_left":true,"strip_right":false}`, " a ", "a "},
		{"strip accents", `{"type":"StripAccents"}`, "éa\u0301\u093e", "éa"},
		{"nmt", `{"type":"Nmt"}`, "a\tb\u200bc\x01\uFEFF▁", "a b c  "},
		{"byte-level", `{"type":"ByteLevel"}`, "é a", "Ã©Ġa"},
		{"bert", `{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}`, "É\u00adA\u0085\u00a0中\v", "ea  中 "},
		{"bert as it is", `{"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":false,"strip_accents":null,"lowercase":false}`, "É\t中", "É\t中"},
		{"bert accents alone", `{"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":false,"strip_accents":true,"lowercase":false}`, "É", "E"},
		{"sequence", `{"type":"Sequence","normalizers":[{"type":"Lowercase"},{"type":"Prepend","prepend":"X"}]}`, "A", "Xa"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := parseNormalizer(json.RawMessage(c.json))
			if err != nil {
				t.Fatal(err)
			}
			got := c.text
			if n != nil {
				got = n.normalize(text{s: c.text}).s
			}
			if got != c.want {
				t.Errorf("%s of %q = %q, want %q", c.json, c.text, got, c.want)
			}
		})
	}
}

func TestDecoders(t *testing.T) {
	const llama = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`
	for _, c := range []struct {
		name, json string
		tokens     []string
		want       string
	}{
		{"byte-level", `{"type":"ByteLevel"}`, []string{"Ġa", "Ã", "©", "Ð"}, " aé\uFFFD"},
		{"byte-level with another character", `{"type":"ByteLevel"}`, []string{"a b", "Ġ日"}, "a bĠ日"},
		{"llama", llama, []string{"▁a", "▁▁b", "<0xC3>", "<0xA9>", "c"}, "a  béc"},
		{"llama damaged bytes", llama, []string{"a", "<0x41>", "<0xC3>", "b", "<0xE2>"}, "a\uFFFD\uFFFDb\uFFFD"},
		{"byte tokens only", `{"type":"ByteFallback"}`, []string{"<0x4>", "<0xZZ>", "<0x4a>"}, "<0x4><0xZZ>J"},
		{"strip both ends", `{"type":"Strip","content":"x","start":2,"stop":1}`, []string{"xxxax", "xx", "x"}, "xa"},
		{"metaspace", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}`, []string{"▁a▁", "▁b"}, "a b"},
		{"metaspace never", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"never"}`, []string{"▁a", "▁b"}, " a b"},
		{"word pieces", `{"type":"WordPiece","prefix":"##","cleanup":true}`, []string{"un", "##do", "!", "do not", "n't", "##x ."}, "undo! don'tn'tx."},
		{"word pieces as they are", `{"type":"WordPiece","prefix":"@@","cleanup":false}`, []string{"@@a", "@@b", "."}, "@@ab ."},
		{"CTC", `{"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true}`, []string{"<pad>", "h", "h", "<pad>", "h", "|", "|", "a"}, "hh a"},
		{"end of word", `{"type":"BPEDecoder","suffix":"</w>"}`, []string{"ab</w>", "c", "d</w>"}, "ab cd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := parseDecoder(json.RawMessage(c.json))
			if err != nil {
				t.Fatal(err)
			}
			var in []fragment
			for _, token := range c.tokens {
				in = append(in, fragment{text: token})
			}
			var got strings.Builder
			for _, f := range d.decode(in, false) {
				got.WriteString(f.text)
			}
			if got.String() != c.want {
				t.Errorf("%q = %q, want %q", c.tokens, got.String(), c.want)
			}
		})
	}
}

func TestLossy(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"añ😀", "añ😀"},
		{"a\xffb", "a\uFFFDb"},
		{"\xe2\x82", "\uFFFD"},
		{"\xe2\x82a", "\uFFFDa"},
		{"\xf0\x9f\x98\xf0", "\uFFFD\uFFFD"},
		{"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"}, // a surrogate
		{"\xc0\x80\xf5", "\uFFFD\uFFFD\uFFFD"},
	} {
		if got := lossy(c.in); got != c.want {
			t.Errorf("lossy(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestIncompleteTail(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
	}{{"", 0}, {"a", 0}, {"é", 0}, {"a\xc3", 1}, {"\xe2\x82", 2}, {"\xf0\x9f\x98", 3}, {"\xf0\x41", 0}, {"\x80\x80\x80\x80", 0}, {"\xc0", 0}, {"\xed\xa0", 0}} {
		if got := incompleteTail(c.in); got != c.want {
			t.Errorf("incompleteTail(%q) = %d, want %d", c.in, got, c.want)
		}
	}
}

func TestGraphemeLen(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
	}{{"a", 1}, {"ab", 1}, {"\r\n", 2}, {"\n\r", 1}, {"e\u0301x", 3}, {"e\u0301\u0302", 5}, {"\u0600a", 3}, {"a\u200d", 4}, {"ก\u0e33", 6}, {"\n\u0301", 1}, {"\u102b", 3}} {
		if got := graphemeLen(c.in); got != c.want {
			t.Errorf("graphemeLen(%q) = %d, want %d", c.in, got, c.want)
		}
	}
}

func TestTrie(t *testing.T) {
	words := map[string]int32{"a": 0, "ab": 1, "abcd": 2, "é": 3, "": 4}
	for c := range 20 {
		words[string(rune('e'+c))] = int32(5 + c)
	}
	m := newTrie(words)
	for _, c := range []struct {
		in    string
		n     int
		value int32
	}{{"abc", 2, 1}, {"abcde", 4, 2}, {"éa", 2, 3}, {"x", 1, 5 + 'x' - 'e'}, {"è", 0, -1}, {"", 0, -1}, {"zz", 0, -1}} {
		if n, value := m.longest(c.in); n != c.n || value != c.value {
			t.Errorf("longest(%q) = %d, %d, want %d, %d", c.in, n, value, c.n, c.value)
		}
	}
}

// Every pre-tokenizer of llama.cpp that is read compiles, cuts without losing
// anything, and is found again in the tokenizer.json that is made of it.
func TestLlamaCppPres(t *testing.T) {
	seen := map[string]bool{}
	const s = "Hello  don'T I'll 1234567 ½ x\r\n\n 日本語のテスト 한국어 été\u0301 $%&'s 😀!\t_y /a // "
	for _, pre := range llamaCppPres {
		raw, err := json.Marshal(pre.object())
		if err != nil {
			t.Fatal(err)
		}
		opened, err := parsePreTokenizer(raw)
		if err != nil {
			t.Errorf("%s: %v", pre.names[0], err)
			continue
		}
		if got, ok := recognizePre(opened); !ok || !slices.Equal(got.regexes, pre.regexes) {
			t.Errorf("%s is recognized as %q", pre.names[0], got.names)
		}
		var all strings.Builder
		for _, p := range cutPieces(opened, []piece{{text: text{s: s}, id: -1, first: true}}) {
			all.WriteString(p.s)
		}
		if all.String() != toByteLevel(s) {
			t.Errorf("%s loses text: %q", pre.names[0], all.String())
		}
		for _, name := range pre.names {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
}
