package distill

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/model"
)

// Vocabulary tells the bytes that tokens stand for: of a token in a text that has
// begun. ok is false for an id that no token has, or whose bytes are not its own.
type Vocabulary interface {
	VocabSize() int
	TokenBytes(id int32) (bytes []byte, ok bool)
}

// Aligner makes the student's TopTable of a teacher's tokens that are told by
// their bytes, answer by answer.
//
// A student's token gets the distribution of the teacher's token that has the
// same bytes at the same place of the text: of that token's alternatives those
// that are one token of the student's, those that are the same one added up. What
// is left of 1, such as of alternatives that are no token of the student's, is the
// mass of all others. With divergence uld, where the student's tokens need not be
// the teacher's, it gets the sorted probabilities of the teacher's token that
// begins at the same place, whatever that token is; the ids are then ranks. All
// other tokens get no distribution.
//
// Both distributions of uld are of what comes next after the same text. TRL's GOLD
// trainer also multiplies each by its model's probabilities of the other tokens
// up to the next common boundary, which is left out here: the student's would join
// the losses of several rows, and with the teacher's alone the two sides would not
// have the same mass.
type Aligner struct {
	vocabulary Vocabulary
	ids        map[string]int32 // by bytes
	ends       []int32
	ranks      bool // uld
	options    Options
	table      *TopTable
	coverage   Coverage
}

// NewAligner begins a table of at most k alternatives per place. ends are the
// tokens that end an answer of the student's, the one it learns first.
func NewAligner(v Vocabulary, ends []int32, k int, o Options) *Aligner {
	a := &Aligner{vocabulary: v, ends: ends, ranks: o.Divergence == ULD, options: o, table: NewTopTable(k)}
	if !a.ranks {
		a.ids = make(map[string]int32, v.VocabSize())
		for id := range int32(v.VocabSize()) {
			// Of equal bytes the last: tokens of single bytes, for what no other token
			// is, come first.
			if b, ok := v.TokenBytes(id); ok && len(b) > 0 {
				a.ids[string(b)] = id
			}
		}
	}
	return a
}

// Add appends the answer with that id and text, which the student learns as
// tokens: text may have something before and after it there, as in pieces, the
// teacher's tokens. Without pieces no token gets a distribution. Its error names
// the answer: the teacher's probabilities are none.
func (a *Aligner) Add(id, text string, tokens []int32, pieces []Piece) error {
	student, known := layOut(a.studentBytes(tokens), text)
	teacher, same := layOut(pieceBytes(pieces), text)
	top := make([]model.TopTokens, len(tokens))
	c := Coverage{Places: len(tokens)}
	if known && same && text != "" {
		if a.ranks { // no more than the teacher has tokens can begin where one of those does
			before := slices.IndexFunc(teacher, func(l laid) bool { return l.from >= 0 })
			c.Places = min(c.Places, len(teacher)-max(before, 0))
		}
		i := 0
		for j, s := range student {
			for i < len(teacher) && (teacher[i].from < s.from || teacher[i].from == s.from && a.passes(teacher, i, s)) {
				i++
			}
			if i == len(teacher) || s.from < 0 || s.from > len(text) || !a.matches(teacher[i], s, len(text)) {
				continue
			}
			kept, told := 0.0, 0.0
			top[j], kept, told = a.place(&pieces[i], teacher[i], s, tokens[j])
			if len(top[j].IDs) > 0 {
				c.Known, c.Kept, c.Told = c.Known+1, c.Kept+kept, c.Told+told
			}
		}
	}
	if c.Known < c.Places && len(a.coverage.Examples) < shownExamples {
		c.Examples = []string{mismatch(id, text, student, teacher, same, top)}
	}
	if err := a.table.Append(top); err != nil {
		return fmt.Errorf("answer %s: %w", id, err)
	}
	a.coverage.add(c)
	return nil
}

// Finish returns the table, and how much of the answers it covers: less than
// the options want is an error that says so.
func (a *Aligner) Finish() (*TopTable, Coverage, error) {
	return a.table, a.coverage, a.coverage.Check(a.options)
}

// matches tells whether piece p gives the student's token s its distribution.
func (a *Aligner) matches(p, s laid, length int) bool {
	return p.from == s.from && (a.ranks || p.to == s.to && s.to <= length)
}

// passes tells whether another piece that begins where piece i does is the one
// for s: the one that ends there, or the last.
func (a *Aligner) passes(teacher []laid, i int, s laid) bool {
	next := i + 1
	return next < len(teacher) && teacher[next].from == s.from && (a.ranks || teacher[i].to != s.to)
}

// place is the distribution of piece p in the place of the student's token id,
// with the probability that it keeps and that p tells.
func (a *Aligner) place(p *Piece, at, s laid, id int32) (top model.TopTokens, kept, told float64) {
	alternatives := p.Top
	if !slices.ContainsFunc(p.Top, func(t Alternative) bool { return bytes.Equal(t.Bytes, p.Bytes) }) {
		alternatives = append(slices.Clone(p.Top), Alternative{p.Bytes, p.LogProb})
	}
	mass := map[int32]float64{}
	for rank, t := range alternatives {
		prob := math.Exp(float64(t.LogProb))
		if prob == 0 {
			continue
		}
		told += prob
		switch to, ok := int32(rank), true; {
		case a.ranks:
			mass[to] += prob
		case bytes.Equal(t.Bytes, p.Bytes):
			mass[id] += prob
		default:
			if to, ok = a.id(t.Bytes, at, s); ok {
				mass[to] += prob
			}
		}
	}
	return a.top(mass, told)
}

// id is the student's token for an alternative of the piece at, in place of s.
func (a *Aligner) id(b []byte, at, s laid) (int32, bool) {
	if isEnd(b) {
		if id, ok := a.ids[string(b)]; ok {
			return id, true
		}
		return a.ends[0], true
	}
	// Spaces that are not of the text: the teacher's are taken off, the student's put on.
	id, ok := a.ids[s.prefix+strings.TrimPrefix(string(b), at.prefix)]
	return id, ok
}

// top is the greatest of mass, the greatest first. Probabilities that servers
// round add up to a little more than 1, and are scaled to 1; those that add up to
// much more are none, which the table says.
func (a *Aligner) top(mass map[int32]float64, told float64) (top model.TopTokens, kept, all float64) {
	type token struct {
		id   int32
		prob float64
	}
	list := make([]token, 0, len(mass))
	for id, p := range mass {
		list = append(list, token{id, p})
	}
	slices.SortFunc(list, func(a, b token) int {
		switch {
		case a.prob > b.prob:
			return -1
		case a.prob < b.prob:
			return 1
		}
		return int(a.id) - int(b.id)
	})
	scale := 1.0
	if told > 1 && told <= 1.05 {
		scale = 1 / told
	}
	for i, t := range list[:min(len(list), a.table.K())] {
		if a.ranks {
			t.id = int32(i)
		}
		top.IDs, top.LogProbs = append(top.IDs, t.id), append(top.LogProbs, float32(math.Log(t.prob*scale)))
		kept += t.prob
	}
	return top, kept, told
}
