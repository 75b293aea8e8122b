package distill_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

// words is a vocabulary of these tokens, by id; "\x00" has no bytes of its own.
type words []string

func (w words) VocabSize() int { return len(w) }

func (w words) TokenBytes(id int32) ([]byte, bool) {
	if id < 0 || int(id) >= len(w) || w[id] == "\x00" {
		return nil, false
	}
	return []byte(w[id]), true
}

// ids are the tokens of these bytes.
func (w words) ids(tokens ...string) []int32 {
	var list []int32
	for _, t := range tokens {
		list = append(list, int32(slices.Index(w, t)))
	}
	return list
}

var student = words{"</s>", "\x00", "lo", "low", " low", "l", "o", "w", " ", "er", "high", " high", "é", "\xc3", "\xa9", "<|im_end|>"}

// piece is a token with its probability, and alternatives with theirs.
func piece(text string, p float64, alternatives ...any) distill.Piece {
	out := distill.Piece{Bytes: []byte(text), LogProb: float32(math.Log(p)), Top: []distill.Alternative{{Bytes: []byte(text), LogProb: float32(math.Log(p))}}}
	for i := 0; i < len(alternatives); i += 2 {
		out.Top = append(out.Top, distill.Alternative{Bytes: []byte(alternatives[i].(string)), LogProb: float32(math.Log(alternatives[i+1].(float64)))})
	}
	return out
}

// told is a table's places as "token:probability …", the token as student writes it.
func told(t *testing.T, table *distill.TopTable, ranks bool) []string {
	t.Helper()
	var list []string
	for place := range table.Places(0) {
		at, err := table.At(0, place)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for j, id := range at.IDs {
			name := fmt.Sprint(id)
			if !ranks {
				name = student[id]
			}
			words = append(words, fmt.Sprintf("%s:%.2f", name, math.Exp(float64(at.LogProbs[j]))))
		}
		list = append(list, strings.Join(words, " "))
	}
	return list
}

func TestAlign(t *testing.T) {
	end := piece("", .8, "er", .1)
	for _, c := range []struct {
		name   string
		text   string
		tokens []int32
		pieces []distill.Piece
		want   []string
		uld    []string
	}{
		{"the same tokens", "lower", student.ids("low", "er", "</s>"),
			[]distill.Piece{piece("low", .6, "high", .3, "unknown", .05), piece("er", .5, "", .4), end},
			[]string{"low:0.60 high:0.30", "er:0.50 </s>:0.40", "</s>:0.80 er:0.10"},
			[]string{"0:0.60 1:0.30 2:0.05", "0:0.50 1:0.40", "0:0.80 1:0.10"}},
		{"the teacher's are shorter", "lower", student.ids("low", "er", "</s>"),
			[]distill.Piece{piece("lo", .6, "low", .3), piece("w", .9), piece("er", .5), end},
			[]string{"", "er:0.50", "</s>:0.80 er:0.10"},
			[]string{"0:0.60 1:0.30", "0:0.50", "0:0.80 1:0.10"}},
		{"the student's are shorter", "lower", student.ids("lo", "w", "er", "</s>"),
			[]distill.Piece{piece("lower", .7), end},
			[]string{"", "", "", "</s>:0.80 er:0.10"},
			[]string{"0:0.70", "", "", "0:0.80 1:0.10"}},
		{"boundaries cross", "lower", student.ids("lo", "w", "er"),
			[]distill.Piece{piece("l", .7), piece("ower", .6)},
			[]string{"", "", ""}, []string{"0:0.70", "", ""}},
		{"the server tells no end", "low", student.ids("low", "</s>"), []distill.Piece{piece("low", .6, "</s>", .2)},
			[]string{"low:0.60 </s>:0.20", ""}, []string{"0:0.60 1:0.20", ""}},
		{"the server writes its end out", "low", student.ids("low", "</s>"),
			[]distill.Piece{piece("low", .6, "<eos>", .2), piece("<end_of_turn>", .9, "er", .05)},
			[]string{"low:0.60 </s>:0.20", "</s>:0.90 er:0.05"}, []string{"0:0.60 1:0.20", "0:0.90 1:0.05"}},
		{"alternatives of one token add up", "low", student.ids("low"), []distill.Piece{piece("low", .4, "high", .1, "high", .2, "low", .1)},
			[]string{"low:0.50 high:0.30"}, []string{"0:0.40 1:0.20 2:0.10 3:0.10"}},
		{"the token is none of its alternatives", "low", student.ids("low"),
			[]distill.Piece{{Bytes: []byte("low"), LogProb: float32(math.Log(.1)), Top: piece("high", .6).Top}},
			[]string{"high:0.60 low:0.10"}, []string{"0:0.60 1:0.10"}},
		{"a space before the student's text", "low", student.ids(" low", "</s>"), []distill.Piece{piece("low", .6, "high", .3, "", .05), end},
			[]string{" low:0.60  high:0.30 </s>:0.05", "</s>:0.80 er:0.10"}, []string{"0:0.60 1:0.30 2:0.05", "0:0.80 1:0.10"}},
		{"a space before the teacher's text", "low", student.ids("low"), []distill.Piece{piece(" low", .6, " high", .3, "high", .05)},
			[]string{"low:0.60 high:0.35"}, []string{"0:0.60 1:0.30 2:0.05"}},
		{"thoughts with the answer's words before it", "low", student.ids("low"), []distill.Piece{piece("low", .1), piece("?", .1), piece("low", .6)},
			[]string{"low:0.60"}, []string{"0:0.60"}},
		{"parts of a character", "é", student.ids("\xc3", "\xa9", "</s>"), []distill.Piece{piece("\xc3", .6, "l", .2), piece("\xa9", .7), end},
			[]string{"\xc3:0.60 l:0.20", "\xa9:0.70", "</s>:0.80 er:0.10"}, []string{"0:0.60 1:0.20", "0:0.70", "0:0.80 1:0.10"}},
		{"white space that was trimmed", "low", student.ids("low", "</s>"), []distill.Piece{piece("low", .6), piece(" ", .7, "", .2), end},
			[]string{"low:0.60", ""}, []string{"0:0.60", "0:0.70 1:0.20"}},
		{"more than the text", "low", student.ids("low", "er", "</s>"), []distill.Piece{piece("low", .6), piece("er", .7), end},
			[]string{"low:0.60", "", ""}, []string{"0:0.60", "0:0.70", ""}},
		{"other words before the text", "low", student.ids("er", "low"), []distill.Piece{piece("ow", .6), piece("low", .7)},
			[]string{"", "low:0.70"}, []string{"", "0:0.70"}},
		{"the end's name in the text", "</s>low", student.ids("</s>", "low", "</s>"), []distill.Piece{piece("</s>", .6), piece("low", .7), end},
			[]string{"</s>:0.60", "low:0.70", "</s>:0.80 er:0.10"}, []string{"0:0.60", "0:0.70", "0:0.80 1:0.10"}},
		{"an empty token between", "lower", student.ids("low", "er"), []distill.Piece{piece("low", .6), piece("", .3), piece("er", .7)},
			[]string{"low:0.60", "er:0.70"}, []string{"0:0.60", "0:0.70"}},
		{"the end among alternatives of the first", "low", student.ids(" low"), []distill.Piece{piece("low", .6, "<|eot_id|>", .2, "<|im_end|>", .1)},
			[]string{" low:0.60 </s>:0.20 <|im_end|>:0.10"}, []string{"0:0.60 1:0.20 2:0.10"}},
		{"rounded probabilities", "low", student.ids("low"), []distill.Piece{piece("low", .8, "high", .24)},
			[]string{"low:0.77 high:0.23"}, []string{"0:0.77 1:0.23"}},
		{"another text", "high", student.ids("high"), []distill.Piece{piece("low", .6)}, []string{""}, []string{""}},
		{"a token without bytes", "low", append([]int32{1}, student.ids("low")...), []distill.Piece{piece("low", .6)}, []string{"", ""}, []string{"", ""}},
		{"no text", "", student.ids("</s>"), []distill.Piece{end}, []string{""}, []string{""}},
		{"nothing told", "low", student.ids("low"), nil, []string{""}, []string{""}},
	} {
		for _, o := range []distill.Options{{MinCoverage: new(0.0)}, {MinCoverage: new(0.0), Divergence: distill.ULD}} {
			want := c.want
			if o.Divergence == distill.ULD {
				want = c.uld
			}
			a := distill.NewAligner(student, student.ids("</s>", "<|im_end|>"), 4, o)
			if err := a.Add("e", c.text, c.tokens, c.pieces); err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			table, coverage, err := a.Finish()
			if err != nil {
				t.Fatal(err)
			}
			if got := told(t, table, o.Divergence == distill.ULD); !slices.Equal(got, want) {
				t.Errorf("%s %s: %q, want %q", c.name, o.Divergence, got, want)
			}
			known := 0
			for _, w := range want {
				if w != "" {
					known++
				}
			}
			if coverage.Places > len(c.tokens) || o.Divergence == "" && coverage.Places < len(c.tokens) || coverage.Known != known || known < coverage.Places && len(coverage.Examples) != 1 {
				t.Errorf("%s: coverage %+v, want %d of %d", c.name, coverage, known, len(c.tokens))
			}
		}
	}
}

// Only the greatest alternatives are kept, and the mass tells what is lost.
func TestAlignKeepsTheLikeliest(t *testing.T) {
	a := distill.NewAligner(student, student.ids("</s>"), 2, distill.Options{})
	if err := a.Add("e", "low", student.ids("low"), []distill.Piece{piece("low", .2, "unknown", .2, "high", .4, "lo", .1)}); err != nil {
		t.Fatal(err)
	}
	table, coverage, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if got := told(t, table, false); got[0] != "high:0.40 low:0.20" {
		t.Errorf("%q", got)
	}
	if !(math.Abs(coverage.Mass()-.6/.9) < 1e-6) || coverage.Share() != 1 {
		t.Errorf("mass %v, share %v", coverage.Mass(), coverage.Share())
	}
}

func TestTooLittleIsAligned(t *testing.T) {
	add := func(o distill.Options) error {
		a := distill.NewAligner(student, student.ids("</s>"), 4, o)
		for i := range 5 {
			err := a.Add(fmt.Sprintf("e%d", i), "lower", student.ids("low", "er", "</s>"), []distill.Piece{piece("lo", .6), piece("w", .6), piece("er", .6)})
			if err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := a.Finish()
		return err
	}
	err := add(distill.Options{})
	if err == nil {
		t.Fatal("a third is aligned: no error")
	}
	for _, want := range []string{"5 of the answers' 15 tokens (33.3 %)", "min_coverage 0.5", `answer e0: at byte 0 of "lower" the student's tokens are "low" "er" "", the teacher's "lo" "w" "er"`, "answer e2", "divergence: uld"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "e3") {
		t.Errorf("more examples than three: %v", err)
	}
	if err := add(distill.Options{MinCoverage: new(0.3)}); err != nil {
		t.Error(err)
	}
	if err := add(distill.Options{Divergence: distill.ULD}); err != nil {
		t.Errorf("uld: %v", err)
	}
	if err := add(distill.Options{Divergence: distill.ULD, MinCoverage: new(0.9)}); err == nil || strings.Contains(err.Error(), "divergence: uld") {
		t.Errorf("uld of a coverage of two thirds: %v", err)
	}
	// A teacher with fewer tokens, each of which begins where one of the student's does.
	a := distill.NewAligner(student, student.ids("</s>"), 4, distill.Options{Divergence: distill.ULD, MinCoverage: new(1.0)})
	if err := a.Add("e", "lower", student.ids("lo", "w", "er", "</s>"), []distill.Piece{piece("?", .1), piece("lower", .7), piece("", .7)}); err != nil {
		t.Fatal(err)
	}
	if _, c, err := a.Finish(); err != nil || c.Known != 2 || c.Places != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAlignRefusesWhatIsNoProbability(t *testing.T) {
	for name, p := range map[string]distill.Piece{
		"NaN":         piece("low", math.NaN()),
		"more than 1": piece("low", .9, "high", .9),
		"infinite":    piece("low", math.Inf(1)),
	} {
		a := distill.NewAligner(student, student.ids("</s>"), 4, distill.Options{})
		if err := a.Add("e7", "low", student.ids("low"), []distill.Piece{p}); err == nil || !strings.Contains(err.Error(), "answer e7: token 0") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a server tells, aligning neither panics nor gives what the table refuses.
func FuzzAlign(f *testing.F) {
	f.Add("lower", "lo w er", uint8(3))
	f.Add("é", "\xc3 \xa9", uint8(0))
	f.Add("", "  ", uint8(1))
	f.Fuzz(func(t *testing.T, text, cut string, k uint8) {
		var pieces []distill.Piece
		for _, s := range strings.Split(cut, " ") {
			pieces = append(pieces, piece(s, .5, text, .2, s, .1))
		}
		var tokens []int32
		for i := range text {
			tokens = append(tokens, int32(text[i])%20-1)
		}
		for _, divergence := range []string{"", distill.ULD} {
			a := distill.NewAligner(student, []int32{0}, 1+int(k), distill.Options{Divergence: divergence})
			if err := a.Add("e", text, tokens, pieces); err != nil {
				t.Fatal(err)
			}
			table, coverage, _ := a.Finish()
			if table.Places(0) != len(tokens) || coverage.Known > coverage.Places || coverage.Kept > coverage.Told+1e-9 {
				t.Errorf("%d places of %d tokens: %+v", table.Places(0), len(tokens), coverage)
			}
		}
	})
}

func TestPiecesOf(t *testing.T) {
	a := distill.Answer{Tokens: []int32{3, 1, 0}, LogProbs: []float32{-1, -2, -3},
		Top: []model.TopTokens{{IDs: []int32{3, 0}, LogProbs: []float32{-1, -4}}, {}, {IDs: []int32{0, 1}, LogProbs: []float32{-3, -5}}}}
	got := fmt.Sprintf("%v", distill.PiecesOf(student, []int32{0}, &a))
	want := fmt.Sprintf("%v", []distill.Piece{
		{Bytes: []byte("low"), LogProb: -1, Top: []distill.Alternative{{Bytes: []byte("low"), LogProb: -1}, {LogProb: -4}}},
		{Bytes: []byte("\uFFFD"), LogProb: -2},
		{LogProb: -3, Top: []distill.Alternative{{LogProb: -3}, {Bytes: []byte("\uFFFD"), LogProb: -5}}}})
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// Rows keep them.
	a.Pieces = distill.PiecesOf(student, []int32{0}, &a)
	row := distill.NewRow("e", "t", distill.Request{}, a)
	kept, err := row.TokenPieces()
	if err != nil || fmt.Sprintf("%v", kept) != want {
		t.Errorf("a row keeps %v, %v", kept, err)
	}
	row.Pieces = row.Pieces[:3]
	if _, err := row.TokenPieces(); err == nil || !strings.Contains(err.Error(), "answer e") {
		t.Errorf("damaged: %v", err)
	}
}

func BenchmarkAlign(b *testing.B) {
	var pieces []distill.Piece
	var tokens []int32
	var text strings.Builder
	for range 100 {
		for _, w := range []string{"low", "er", " high"} {
			pieces, tokens = append(pieces, piece(w, .3, "l", .1, "o", .1, "w", .1, "unknown", .1, "é", .1)), append(tokens, student.ids(strings.TrimSpace(w))...)
			text.WriteString(strings.TrimSpace(w))
		}
	}
	for i := range pieces {
		pieces[i].Bytes = []byte(strings.TrimSpace(string(pieces[i].Bytes)))
	}
	for b.Loop() {
		a := distill.NewAligner(student, student.ids("</s>"), 8, distill.Options{})
		if err := a.Add("e", text.String(), tokens, pieces); err != nil {
			b.Fatal(err)
		}
		if _, c, err := a.Finish(); err != nil || c.Share() != 1 {
			b.Fatal(c, err)
		}
	}
	b.ReportMetric(float64(len(tokens))*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}
