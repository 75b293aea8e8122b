package overlap

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"
)

// leastRecall is the share of pairs at the threshold that must share a band.
const leastRecall = 0.99

// bands cuts a sketch into count bands of rows values.
type bands struct{ count, rows int }

// chooseBands takes the longest bands, which make the fewest candidates, that
// find leastRecall of the pairs at the threshold; else bands of one value.
func chooseBands(threshold float64, sketch int) bands {
	for rows := sketch; rows > 1; rows-- {
		if b := (bands{sketch / rows, rows}); b.recall(threshold) >= leastRecall {
			return b
		}
	}
	return bands{sketch, 1}
}

// recall is the probability that sets of this similarity share a band.
func (b bands) recall(similarity float64) float64 {
	return 1 - math.Pow(1-math.Pow(similarity, float64(b.rows)), float64(b.count))
}

// A band record is the band's number, a hash of its values, one byte of each
// of the tailBytes values that follow it in the sketch, and the text's index:
// sorting puts texts that agree in a band together, and among those the ones
// that agree further.
const (
	tailBytes   = 4
	bucketBytes = 1 + 8
	bandBytes   = bucketBytes + tailBytes + 4
)

func (b bands) record(to *[bandBytes]byte, s []uint32, band int, index uint32) {
	var buf [4 * 256]byte
	from := band * b.rows
	for i, v := range s[from : from+b.rows] {
		binary.BigEndian.PutUint32(buf[4*i:], v)
	}
	to[0] = byte(band)
	binary.BigEndian.PutUint64(to[1:], xxh3.Hash(buf[:4*b.rows]))
	for i := range tailBytes {
		to[bucketBytes+i] = byte(s[(from+b.rows+i)%len(s)])
	}
	binary.BigEndian.PutUint32(to[bucketBytes+tailBytes:], index)
}
