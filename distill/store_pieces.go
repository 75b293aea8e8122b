package distill

import (
	"encoding/binary"
	"errors"
	"math"
)

// encodePieces writes pieces one after the other: the length of their bytes,
// these, the log-probability, the number of alternatives, and those in the same
// way. Counts are varints, log-probabilities float32 little-endian: with 20
// alternatives of 4 bytes about 190 bytes a token.
func encodePieces(list []Piece) []byte {
	b := []byte{}
	for _, p := range list {
		b = appendOutcome(b, p.Bytes, p.LogProb)
		b = binary.AppendUvarint(b, uint64(len(p.Top)))
		for _, a := range p.Top {
			b = appendOutcome(b, a.Bytes, a.LogProb)
		}
	}
	return b
}

func appendOutcome(b, text []byte, logProb float32) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	b = append(b, text...)
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(logProb))
}

var errPieces = errors.New("the pieces end too early")

// decodePieces reads what encodePieces wrote.
func decodePieces(b []byte) ([]Piece, error) {
	list := []Piece{}
	for len(b) > 0 {
		var p Piece
		var err error
		if p.Bytes, p.LogProb, b, err = takeOutcome(b); err != nil {
			return nil, err
		}
		count, n := binary.Uvarint(b)
		if n <= 0 || count > uint64(len(b)-n)/5 { // the least that an alternative takes
			return nil, errPieces
		}
		b = b[n:]
		for range count {
			var a Alternative
			if a.Bytes, a.LogProb, b, err = takeOutcome(b); err != nil {
				return nil, err
			}
			p.Top = append(p.Top, a)
		}
		list = append(list, p)
	}
	return list, nil
}

func takeOutcome(b []byte) (text []byte, logProb float32, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || len(b)-n < 4 || size > uint64(len(b)-n-4) {
		return nil, 0, nil, errPieces
	}
	b = b[n:]
	text = append([]byte{}, b[:size]...)
	return text, math.Float32frombits(binary.LittleEndian.Uint32(b[size:])), b[size+4:], nil
}
