package distill

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// manyPieces are n tokens with 20 alternatives as servers tell them: words that
// come back, log-probabilities of six digits.
func manyPieces(n int) []Piece {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]Piece, n)
	for i := range list {
		top := make([]Alternative, 20)
		logProb := float32(0)
		for j := range top {
			logProb -= float32(int(rng.ExpFloat64()*1e6)) / 1e6
			word := int(rng.ExpFloat64() * 400)
			top[j] = Alternative{Bytes: fmt.Appendf(nil, " word%d", word), LogProb: logProb}
		}
		list[i] = Piece{Bytes: top[0].Bytes, LogProb: top[0].LogProb, Top: top}
	}
	return list
}

func TestPiecesAreSmall(t *testing.T) {
	pieces := manyPieces(200)
	asJSON, err := json.Marshal(pieces)
	if err != nil {
		t.Fatal(err)
	}
	b := compress(appendPieces(nil, pieces))
	got, err := decodePieces(appendPieces(nil, pieces))
	if err != nil || !reflect.DeepEqual(got, pieces) {
		t.Errorf("they are read as others, error %v", err)
	}
	perToken := float64(len(b)) / 200
	t.Logf("%.0f bytes a token with 20 alternatives; as JSON %d", perToken, len(asJSON)/200)
	if perToken > 130 { // 80 of them log-probabilities
		t.Errorf("%.0f bytes a token", perToken)
	}
}

func FuzzDecodePieces(f *testing.F) {
	f.Add(appendPieces(nil, manyPieces(3)))
	f.Add(appendPieces(nil, []Piece{{Bytes: []byte{}, LogProb: -1}, {Bytes: []byte("é"), Top: []Alternative{{Bytes: []byte("x"), LogProb: -2}}}}))
	f.Add([]byte{})
	f.Add([]byte{2, 0xff, 0x7f, 0})
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		pieces, err := decodePieces(b)
		if err != nil {
			return
		}
		again, err := decodePieces(appendPieces(nil, pieces))
		if err != nil || len(again) != len(pieces) {
			t.Errorf("%v becomes %v, error %v", pieces, again, err)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4}, []byte{1}, compress([]byte{1, 0, 0}), []byte("raw"))
	f.Add([]byte{}, []byte{}, compress(appendPieces(nil, manyPieces(2))), compress([]byte("{}")))
	f.Fuzz(func(t *testing.T, tokens, top, pieces, raw []byte) {
		e := storedAnswer{blobs: [5][]byte{tokens, tokens, top, pieces, raw}}
		if _, err := e.decode(true); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
