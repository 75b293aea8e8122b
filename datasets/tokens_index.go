package datasets

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// index.bin is, in little-endian numbers of 32 bits unless said otherwise:
//
//	"RTOKIDX1"  sequences (64)  record batches (64)
//	of each record batch: its file, its sequences, its tokens, 0, where its body begins in the file (64)
//	of each sequence: its tokens, its prompt's, its learned ones, its example, its weight
//	(float32), 1 if all tokens from the prompt's on are learned and no others, else 0
//
// All but the places of the record batches is in data-*.arrow, too; here it is in
// one piece, so that a sequence takes two reads.
const indexMagic = "RTOKIDX1"

const (
	indexHeadBytes     = 8 + 8 + 8
	indexRecordBytes   = 16 + 8
	indexSequenceBytes = 24
)

// placedRecord is a record batch among all files.
type placedRecord struct {
	recordPlace
	file  int
	first int // index of its first sequence
}

// writeIndexHead writes all of index.bin but the sequences.
func writeIndexHead(w io.Writer, sequences int, parts []part) error {
	n := 0
	for _, p := range parts {
		n += len(p.Records)
	}
	head := append([]byte(indexMagic), make([]byte, 16)...)
	binary.LittleEndian.PutUint64(head[8:], uint64(sequences))
	binary.LittleEndian.PutUint64(head[16:], uint64(n))
	if _, err := w.Write(head); err != nil {
		return err
	}
	for file, p := range parts {
		for _, r := range p.Records {
			var b [indexRecordBytes]byte
			binary.LittleEndian.PutUint32(b[0:], uint32(file))
			binary.LittleEndian.PutUint32(b[4:], uint32(r.Rows))
			binary.LittleEndian.PutUint32(b[8:], uint32(r.Tokens))
			binary.LittleEndian.PutUint64(b[16:], uint64(r.At))
			if _, err := w.Write(b[:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// tokensIndex is what is in memory of a token cache: 4 bytes a sequence, and
// next to nothing for its record batches.
type tokensIndex struct {
	lengths         []uint32
	at              int64 // where the sequences begin in the file
	records         []placedRecord
	tokens, learned int64
}

// readIndex reads an index of so many bytes, of files of these sizes. Every
// place that it names is in its file, whatever the index says.
func readIndex(r io.Reader, size int64, files []int64) (*tokensIndex, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var head [indexHeadBytes]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:8]) != indexMagic {
		return nil, errors.New("not an index of tokens")
	}
	sequences, records := binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[16:])
	rest := uint64(max(0, size-indexHeadBytes))
	// Before memory is taken for them.
	if sequences > rest/indexSequenceBytes || records > rest/indexRecordBytes || sequences*indexSequenceBytes+records*indexRecordBytes != rest {
		return nil, fmt.Errorf("%d bytes for %d sequences in %d record batches", size, sequences, records)
	}
	x := &tokensIndex{lengths: make([]uint32, sequences), records: make([]placedRecord, records), at: indexHeadBytes + int64(records)*indexRecordBytes}
	if err := x.readRecords(in, files); err != nil {
		return nil, err
	}
	return x, x.readLengths(in)
}

func (x *tokensIndex) readRecords(in io.Reader, files []int64) error {
	first := 0
	for i := range x.records {
		var b [indexRecordBytes]byte
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return fmt.Errorf("record batch %d: %w", i, err)
		}
		r := placedRecord{file: int(binary.LittleEndian.Uint32(b[0:])), first: first, recordPlace: recordPlace{
			Rows: int(binary.LittleEndian.Uint32(b[4:])), Tokens: int(binary.LittleEndian.Uint32(b[8:])), At: int64(binary.LittleEndian.Uint64(b[16:]))}}
		if r.file >= len(files) || r.Rows == 0 || r.Rows > len(x.lengths)-first || r.At < 0 || r.At > files[r.file] ||
			placesOf(int64(r.Rows), int64(r.Tokens)).size > files[r.file]-r.At {
			return fmt.Errorf("record batch %d: %d sequences of %d tokens at byte %d of file %d are not there", i, r.Rows, r.Tokens, r.At, r.file)
		}
		x.records[i] = r
		first += r.Rows
	}
	if first != len(x.lengths) {
		return fmt.Errorf("record batches of %d sequences, and there are %d", first, len(x.lengths))
	}
	return nil
}

func (x *tokensIndex) readLengths(in io.Reader) error {
	for _, r := range x.records {
		tokens := 0
		for i := r.first; i < r.first+r.Rows; i++ {
			var b [indexSequenceBytes]byte
			if _, err := io.ReadFull(in, b[:]); err != nil {
				return fmt.Errorf("sequence %d: %w", i, err)
			}
			s := sequenceOf(b[:])
			if err := s.check(); err != nil {
				return fmt.Errorf("sequence %d: %w", i, err)
			}
			x.lengths[i] = s.tokens
			tokens += int(s.tokens)
			x.learned += int64(s.learned)
		}
		if tokens != r.Tokens {
			return fmt.Errorf("%d tokens in a record batch of %d", tokens, r.Tokens)
		}
		x.tokens += int64(tokens)
	}
	return nil
}

// indexedSequence is what the index has of a sequence.
type indexedSequence struct {
	tokens, prompt, learned, example uint32
	weight                           float32
	plain                            uint32 // 1: its mask need not be read
}

func sequenceOf(b []byte) indexedSequence {
	number := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	return indexedSequence{number(0), number(1), number(2), number(3), math.Float32frombits(number(4)), number(5)}
}

func (s indexedSequence) check() error {
	if s.tokens == 0 || s.prompt > s.tokens || s.learned >= s.tokens || s.example > math.MaxInt32 || s.plain > 1 || !(s.weight >= 0) || math.IsInf(float64(s.weight), 1) {
		return fmt.Errorf("%d tokens with a prompt of %d, %d learned, of example %d, weight %v", s.tokens, s.prompt, s.learned, s.example, s.weight)
	}
	return nil
}

func appendSequence(b []byte, s *Sequence) []byte {
	weight := s.Weight
	if weight == 0 {
		weight = 1
	}
	plain := uint32(1)
	for at := range s.Tokens {
		if s.Learns(at) != (at > 0 && at >= s.PromptLen) {
			plain = 0
		}
	}
	for _, n := range []uint32{uint32(len(s.Tokens)), uint32(s.PromptLen), uint32(s.LearnedTokens()), uint32(s.Example), math.Float32bits(weight), plain} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}
