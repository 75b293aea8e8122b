package datasets

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// The counts inside a page's data decide how much a decoder allocates. These
// checks walk the data, without keeping it, and compare the counts with what
// the page header claims.
// Format: github.com/apache/parquet-format, Encodings.md.

var errPageShort = errors.New("the page's data ends early")

// maxRunPadding is how many values more than it needs a stream of runs may hold:
// a bit-packed group is padded to eight values, and some writers pad to 63 groups.
const maxRunPadding = 504

// checkRuns walks a run-length/bit-packed stream of the given bit width and
// checks that its runs lie within data and hold about most values at most.
func checkRuns(data []byte, width uint, most int) error {
	if width > 32 {
		return fmt.Errorf("values of %d bits", width)
	}
	total, limit := uint64(0), uint64(most)+maxRunPadding
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return errPageShort
		}
		data = data[n:]
		count, size := head>>1, uint64(width+7)/8
		if count > limit {
			return fmt.Errorf("a run of %d in a page of %d values", count, most)
		}
		if head&1 != 0 {
			size = count * uint64(width)
			count *= 8
		}
		if total += count; total > limit {
			return fmt.Errorf("runs of more than the page's %d values", most)
		}
		if count > 0 && size > uint64(len(data)) {
			return errPageShort
		}
		if count > 0 {
			data = data[size:]
		}
	}
	return nil
}

// checkPrefixedRuns checks a run-length stream after its four-byte length and
// returns what follows it.
func checkPrefixedRuns(data []byte, width uint, most int) ([]byte, error) {
	if len(data) < 4 {
		return nil, errPageShort
	}
	n := binary.LittleEndian.Uint32(data)
	if uint64(n) > uint64(len(data)-4) {
		return nil, errPageShort
	}
	return data[4+n:], checkRuns(data[4:4+n], width, most)
}

// countLevels counts, among the first n of a stream of levels that checkRuns
// has passed, those that equal level. Fewer than n is an error.
func countLevels(data []byte, width uint, n int, level uint64) (count int, err error) {
	for n > 0 {
		head, k := binary.Uvarint(data)
		if k <= 0 {
			return 0, errPageShort
		}
		data = data[k:]
		run := min(n, int(head>>1))
		if head&1 == 0 {
			size := int(width+7) / 8
			if run > 0 {
				if unpackBits(data, 0, int(width)) == level {
					count += run
				}
				data = data[size:]
			}
		} else {
			run = min(n, 8*int(head>>1))
			for i := range run {
				if unpackBits(data, i*int(width), int(width)) == level {
					count++
				}
			}
			data = data[int(head>>1)*int(width):]
		}
		n -= run
	}
	return count, nil
}

// checkValues checks that the value part of a page of the given column holds
// want values, which are those that are not null.
func checkValues(data []byte, enc format.Encoding, column columnLevels, want int) error {
	if want == 0 {
		if len(data) > maxEmptyPage {
			return fmt.Errorf("%d bytes of data in a page without values", len(data))
		}
		return nil
	}
	switch enc {
	case format.Plain:
		return checkPlain(data, column, want)
	case format.ByteStreamSplit:
		if len(data) != want*column.width() {
			return fmt.Errorf("%d bytes for %d values", len(data), want)
		}
		return nil
	case format.PlainDictionary, format.RLEDictionary:
		if len(data) == 0 {
			return errPageShort
		}
		if err := checkRuns(data[1:], uint(data[0]), want); err != nil {
			return err
		}
		_, err := countLevels(data[1:], uint(data[0]), want, 0)
		return err
	case format.RLE: // booleans
		_, err := checkPrefixedRuns(data, 1, want)
		return err
	case format.DeltaBinaryPacked:
		_, _, err := deltaValues(data, want, false)
		return err
	case format.DeltaLengthByteArray:
		lengths, rest, err := deltaValues(data, want, true)
		if err != nil {
			return err
		}
		return checkLengths(nil, lengths, len(rest))
	case format.DeltaByteArray:
		prefixes, rest, err := deltaValues(data, want, true)
		if err != nil {
			return err
		}
		suffixes, rest, err := deltaValues(rest, want, true)
		if err != nil {
			return err
		}
		return checkLengths(prefixes, suffixes, len(rest))
	}
	return fmt.Errorf("encoding %s is not supported", enc)
}

// maxEmptyPage is what a stream's header may take in a page of nulls.
const maxEmptyPage = 64

// checkPlain checks values one after another, byte arrays behind their length.
func checkPlain(data []byte, column columnLevels, want int) error {
	switch {
	case column.kind == format.Boolean:
		if len(data) < (want+7)/8 {
			return errPageShort
		}
		return nil
	case column.kind != format.ByteArray:
		if len(data) != want*column.width() {
			return fmt.Errorf("%d bytes for %d values", len(data), want)
		}
		return nil
	}
	have := 0
	for ; len(data) > 0; have++ {
		if len(data) < 4 {
			return errPageShort
		}
		n := binary.LittleEndian.Uint32(data)
		if uint64(n) > uint64(len(data)-4) {
			return errPageShort
		}
		data = data[4+n:]
	}
	if have != want {
		return fmt.Errorf("%d values, and the header claims %d", have, want)
	}
	return nil
}

// checkLengths checks that the suffixes fit the bytes that are there, that no
// prefix is longer than the value before it, and that all values together fit
// a page.
func checkLengths(prefixes, suffixes []int64, have int) error {
	if prefixes != nil && len(prefixes) != len(suffixes) {
		return fmt.Errorf("%d prefixes and %d suffixes", len(prefixes), len(suffixes))
	}
	var used, total, last int64
	for i, n := range suffixes {
		if n < 0 || n > int64(have)-used {
			return errPageShort
		}
		used += n
		if prefixes != nil {
			p := prefixes[i]
			if p < 0 || p > last {
				return fmt.Errorf("value %d repeats %d bytes of one of %d", i, p, last)
			}
			n += p
		}
		last = n
		if total += n; total > maxPageBytes {
			return fmt.Errorf("values of more than %d bytes in one page", maxPageBytes)
		}
	}
	return nil
}

// deltaHeader begins a delta-binary-packed stream.
type deltaHeader struct {
	values int
	first  int64
	minis  int // mini-blocks in a block
	mini   int // values in a mini-block
}

func readDeltaHeader(data []byte, want int) (deltaHeader, []byte, error) {
	var head [3]uint64 // values in a block, mini-blocks in a block, values
	for i := range head {
		u, n := binary.Uvarint(data)
		if n <= 0 {
			return deltaHeader{}, nil, errPageShort
		}
		head[i], data = u, data[n:]
	}
	first, n := binary.Varint(data)
	if n <= 0 {
		return deltaHeader{}, nil, errPageShort
	}
	block, minis, total := head[0], head[1], head[2]
	if total != uint64(want) {
		return deltaHeader{}, nil, fmt.Errorf("%d delta-packed values in a page of %d", total, want)
	}
	if block == 0 || block > 1<<16 || minis == 0 || block%minis != 0 || (block/minis)%32 != 0 {
		return deltaHeader{}, nil, fmt.Errorf("delta blocks of %d values in %d parts", block, minis)
	}
	return deltaHeader{int(total), first, int(minis), int(block / minis)}, data[n:], nil
}

// deltaValues walks a delta-binary-packed stream of want values, and returns
// the values as lengths, if keep is set, and the bytes after the stream.
func deltaValues(data []byte, want int, keep bool) (values []int64, rest []byte, err error) {
	h, data, err := readDeltaHeader(data, want)
	if err != nil || h.values == 0 {
		return nil, data, err
	}
	if keep {
		values = append(make([]int64, 0, h.values), h.first)
	}
	last, left := h.first, h.values-1
	for left > 0 {
		minDelta, n := binary.Varint(data)
		if n <= 0 || len(data)-n < h.minis {
			return nil, nil, errPageShort
		}
		widths := data[n : n+h.minis]
		data = data[n+h.minis:]
		for _, width := range widths {
			if left == 0 {
				break // the rest of the last block has no data
			}
			size := h.mini * int(width) / 8
			if width > 64 || size > len(data) {
				return nil, nil, errPageShort
			}
			count := min(left, h.mini)
			for i := 0; keep && i < count; i++ {
				// Lengths are of 32 bits, and their differences wrap.
				last = int64(int32(last + minDelta + int64(unpackBits(data, i*int(width), int(width)))))
				values = append(values, last)
			}
			left -= count
			data = data[size:]
		}
	}
	return values, data, nil
}

// unpackBits returns width bits, least significant first, from bit offset at.
func unpackBits(data []byte, at, width int) uint64 {
	var v uint64
	for i := range width {
		bit := at + i
		v |= uint64(data[bit/8]>>(bit%8)&1) << i
	}
	return v
}
