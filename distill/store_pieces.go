package distill

import (
	"encoding/binary"
	"errors"
	"math"
)

// appendPieces appends tokens in three parts, each with its length before it,
// so that zstd finds like beside like:
//
//	numbers: varints: how many pieces, and of each: how many alternatives; which
//	         of them the piece itself is, from 1, or 0 and then its string; the
//	         alternatives' strings. A string is its index among those so far; the
//	         next index is a new one, whose length follows.
//	bytes:   of the new strings
//	nats:    float32 of the piece if it is none of its alternatives, and of those;
//	         as four planes, the highest bytes first
func appendPieces(b []byte, pieces []Piece) []byte {
	e := pieceEncoder{seen: map[string]int{}}
	e.number(len(pieces))
	for _, p := range pieces {
		e.number(len(p.Top))
		self := p.place()
		e.number(self)
		if self == 0 {
			e.token(p.Bytes, p.LogProb)
		}
		for _, a := range p.Top {
			e.token(a.Bytes, a.LogProb)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.numbers)))
	b = append(b, e.numbers...)
	b = binary.AppendUvarint(b, uint64(len(e.bytes)))
	b = append(b, e.bytes...)
	for shift := 24; shift >= 0; shift -= 8 {
		for _, n := range e.nats {
			b = append(b, byte(n>>shift))
		}
	}
	return b
}

// place is which alternative the piece itself is, from 1; 0 if none.
func (p *Piece) place() int {
	for i, a := range p.Top {
		if string(a.Bytes) == string(p.Bytes) && math.Float32bits(a.LogProb) == math.Float32bits(p.LogProb) {
			return i + 1
		}
	}
	return 0
}

type pieceEncoder struct {
	numbers, bytes []byte
	nats           []uint32
	seen           map[string]int
}

func (e *pieceEncoder) number(n int) { e.numbers = binary.AppendUvarint(e.numbers, uint64(n)) }

func (e *pieceEncoder) token(text []byte, logProb float32) {
	index, ok := e.seen[string(text)]
	if !ok {
		index = len(e.seen)
		e.seen[string(text)] = index
	}
	e.number(index)
	if !ok {
		e.number(len(text))
		e.bytes = append(e.bytes, text...)
	}
	e.nats = append(e.nats, math.Float32bits(logProb))
}

// errPieces says that the bytes are not as appendPieces writes them.
var errPieces = errors.New("the tokens' bytes are not as they are written")

func decodePieces(b []byte) ([]Piece, error) {
	var d pieceDecoder
	var ok bool
	if d.numbers, b, ok = cutCounted(b); !ok {
		return nil, errPieces
	}
	if d.bytes, b, ok = cutCounted(b); !ok || len(b)%4 != 0 {
		return nil, errPieces
	}
	d.planes = b
	n := d.number(len(d.numbers) / 2) // the least that a piece takes
	pieces := make([]Piece, 0, n)
	for range n {
		p := Piece{}
		if k := d.number(len(d.numbers)); k > 0 {
			p.Top = make([]Alternative, k)
		}
		self := d.number(len(p.Top))
		if self == 0 {
			p.Bytes, p.LogProb = d.token()
		}
		for i := range p.Top {
			p.Top[i].Bytes, p.Top[i].LogProb = d.token()
		}
		if d.failed {
			break
		}
		if self > 0 {
			p.Bytes, p.LogProb = p.Top[self-1].Bytes, p.Top[self-1].LogProb
		}
		pieces = append(pieces, p)
	}
	if d.failed || len(d.numbers) > 0 || len(d.bytes) > 0 || d.at != len(d.planes)/4 {
		return nil, errPieces
	}
	return pieces, nil
}

// cutCounted cuts off a part that begins with its length.
func cutCounted(b []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size)], b[n+int(size):], true
}

type pieceDecoder struct {
	numbers, bytes, planes []byte
	at                     int // log-probabilities read
	seen                   [][]byte
	failed                 bool
}

// number reads a number up to most; any other is a failure, and 0.
func (d *pieceDecoder) number(most int) int {
	v, n := binary.Uvarint(d.numbers)
	if n <= 0 || v > uint64(most) {
		d.failed = true
		return 0
	}
	d.numbers = d.numbers[n:]
	return int(v)
}

func (d *pieceDecoder) token() ([]byte, float32) {
	index, count := d.number(len(d.seen)), len(d.planes)/4
	if index == len(d.seen) && !d.failed {
		n := d.number(len(d.bytes))
		d.seen = append(d.seen, d.bytes[:n:n])
		d.bytes = d.bytes[n:]
	}
	if d.failed || d.at >= count {
		d.failed = true
		return nil, 0
	}
	var bits uint32
	for plane := range 4 {
		bits = bits<<8 | uint32(d.planes[plane*count+d.at])
	}
	d.at++
	return d.seen[index], math.Float32frombits(bits)
}
