package distill

import (
	"fmt"
	"slices"
	"strings"
)

// laid is where a token lies in a text: bytes [from, to), outside of it below 0
// or above its length.
type laid struct {
	from, to int
	// prefix is what the token begins with that is not of the text, such as the
	// space that some tokenizers write before a text.
	prefix string
	bytes  string
}

// layOut finds text in the tokens of these bytes, and where each of them lies.
// Nil is a token of unknown bytes; with one of those, and where the tokens do not
// say the text, ok is false.
func layOut(tokens [][]byte, text string) (list []laid, ok bool) {
	var all strings.Builder
	for _, b := range tokens {
		all.Write(b)
	}
	// The last: what a teacher thinks before its answer may have the same words.
	start := strings.LastIndex(all.String(), text)
	ok = start >= 0 && !slices.ContainsFunc(tokens, func(b []byte) bool { return b == nil })
	at := -max(start, 0)
	for _, b := range tokens {
		l := laid{from: at, to: at + len(b), bytes: string(b)}
		at = l.to
		if l.from < 0 && l.to > 0 && strings.Trim(l.bytes[:-l.from], " ") == "" {
			l.prefix, l.from = l.bytes[:-l.from], 0
		}
		list = append(list, l)
	}
	return list, ok
}

// studentBytes are the bytes of the student's tokens, none of the end's.
func (a *Aligner) studentBytes(tokens []int32) [][]byte {
	list := make([][]byte, len(tokens))
	for i, id := range tokens {
		if i == len(tokens)-1 && slices.Contains(a.ends, id) {
			list[i] = []byte{}
		} else if b, ok := a.vocabulary.TokenBytes(id); ok {
			list[i] = append([]byte{}, b...)
		}
	}
	return list
}

// pieceBytes are the bytes of the teacher's tokens, none of the end's.
func pieceBytes(pieces []Piece) [][]byte {
	list := make([][]byte, len(pieces))
	for i, p := range pieces {
		list[i] = append([]byte{}, p.Bytes...)
		if i == len(pieces)-1 && isEnd(p.Bytes) {
			list[i] = []byte{}
		}
	}
	return list
}

// isEnd tells whether a token of these bytes ends an answer: of no bytes, or
// called as common models call their end token, which some servers write out.
func isEnd(b []byte) bool {
	switch string(b) {
	case "", "</s>", "<eos>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>", "<|return|>", "<|END_OF_TURN_TOKEN|>":
		return true
	}
	return false
}

// PiecesOf tells the tokens of a local teacher's answer by their bytes: those of
// its vocabulary, none of the ends, which are the tokens that end its answers. Of
// a token whose bytes are not known they are the Unicode replacement character,
// which says that they are not part of the text.
func PiecesOf(v Vocabulary, ends []int32, a *Answer) []Piece {
	text := func(id int32) []byte {
		b, ok := v.TokenBytes(id)
		switch {
		case slices.Contains(ends, id):
			return nil
		case !ok:
			return []byte("\uFFFD")
		}
		return b
	}
	list := make([]Piece, len(a.Tokens))
	for i, id := range a.Tokens {
		list[i].Bytes = text(id)
		if i < len(a.LogProbs) {
			list[i].LogProb = a.LogProbs[i]
		}
		if i < len(a.Top) {
			for j, t := range a.Top[i].IDs {
				list[i].Top = append(list[i].Top, Alternative{text(t), a.Top[i].LogProbs[j]})
			}
		}
	}
	return list
}

// TokenPieces are the teacher's tokens by their bytes, with the alternatives; none
// where it did not tell them.
func (r *Row) TokenPieces() ([]Piece, error) {
	if len(r.Pieces) == 0 {
		return nil, nil
	}
	list, err := decodePieces(r.Pieces)
	if err != nil {
		return nil, fmt.Errorf("answer %s: %w", r.ID, err)
	}
	return list, nil
}
