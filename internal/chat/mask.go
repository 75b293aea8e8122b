package chat

import "fmt"

// Tokens marks the tokens that are learned: those that lie within a span.
// offsets are the bytes [start, end) of the text that each token stands for, in
// order of start; a token of no bytes is not learned. A token that reaches over a
// span's border is an error: half of it would be learned, and the model would
// never see it so when it answers.
func Tokens(spans []Span, offsets [][2]int) ([]bool, error) {
	mask := make([]bool, len(offsets))
	k := 0
	for i, o := range offsets {
		if o[0] > o[1] || i > 0 && o[0] < offsets[i-1][0] {
			return nil, fmt.Errorf("token %d: bytes %d to %d are out of order", i, o[0], o[1])
		}
		if o[0] == o[1] {
			continue
		}
		for k < len(spans) && spans[k].End <= o[0] {
			k++
		}
		if k == len(spans) || o[1] <= spans[k].Start {
			continue
		}
		if o[0] < spans[k].Start || o[1] > spans[k].End {
			return nil, fmt.Errorf("token %d (bytes %d to %d) reaches over the border of what is learned of message %d (bytes %d to %d)",
				i, o[0], o[1], spans[k].Message, spans[k].Start, spans[k].End)
		}
		mask[i] = true
	}
	return mask, nil
}
