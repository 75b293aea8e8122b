package distill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/retort-ml/retort/internal/model"

	"github.com/klauspost/compress/zstd"
)

// storedAnswer is an answer as values of textColumns, numberColumns and blobColumns.
type storedAnswer struct {
	texts    [6]string
	numbers  [9]int64
	blobs    [5][]byte
	checksum int64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// largestRaw bounds what a compressed column may grow to, for hostile files.
const largestRaw = 1 << 30

func encodeAnswer(key Key, a Answer) (storedAnswer, error) {
	e := storedAnswer{
		texts: [6]string{a.Text, a.Reasoning, a.ToolCalls, a.Finish, a.Model, a.Fingerprint},
		numbers: [9]int64{int64(a.PromptTokens), int64(a.CachedTokens), int64(a.AnswerTokens), int64(a.ReasoningTokens), int64(a.Cost),
			int64(a.RetryCost), int64(boolNumber(a.Batch)), int64(a.Attempts), int64(a.Latency)},
		blobs: [5][]byte{{}, {}, {}, {}, {}}, // not nil, which would be NULL
	}
	if len(a.Raw) > largestRaw {
		return e, fmt.Errorf("a response of %d bytes: the most that is kept is %d", len(a.Raw), largestRaw)
	}
	for _, id := range a.Tokens {
		e.blobs[0] = binary.LittleEndian.AppendUint32(e.blobs[0], uint32(id))
	}
	for _, v := range a.LogProbs {
		e.blobs[1] = binary.LittleEndian.AppendUint32(e.blobs[1], math.Float32bits(v))
	}
	var err error
	if e.blobs[2], err = appendTop(e.blobs[2], a.Top); err != nil {
		return e, err
	}
	if len(a.Pieces) > 0 {
		e.blobs[3] = compress(appendPieces(nil, a.Pieces))
	}
	if len(a.Raw) > 0 {
		e.blobs[4] = compress(a.Raw)
	}
	e.checksum = e.sum(key)
	return e, nil
}

// values are the values of answerColumns.
func (e *storedAnswer) values(key []byte) []any {
	list := []any{key}
	for _, v := range e.texts {
		list = append(list, v)
	}
	for _, v := range e.numbers {
		list = append(list, v)
	}
	for _, v := range e.blobs {
		list = append(list, v)
	}
	return append(list, e.checksum)
}

// places are where a row of answerColumns is scanned to.
func (e *storedAnswer) places(key *[]byte) []any {
	list := []any{key}
	for i := range e.texts {
		list = append(list, &e.texts[i])
	}
	for i := range e.numbers {
		list = append(list, &e.numbers[i])
	}
	for i := range e.blobs {
		list = append(list, &e.blobs[i])
	}
	return append(list, &e.checksum)
}

// sum is the checksum of the key and all columns of the answer. SQLite has
// none: a bit that flips on the disk would otherwise be an answer.
func (e *storedAnswer) sum(key Key) int64 {
	h := crc32.New(castagnoli)
	var number [8]byte
	count := func(n int64) {
		binary.LittleEndian.PutUint64(number[:], uint64(n))
		h.Write(number[:])
	}
	part := func(b []byte) {
		count(int64(len(b)))
		h.Write(b)
	}
	part(key[:])
	for _, t := range e.texts {
		part([]byte(t))
	}
	for _, n := range e.numbers {
		count(n)
	}
	for _, b := range e.blobs {
		part(b)
	}
	return int64(h.Sum32())
}

// decode is the answer; Raw only if wanted.
func (e *storedAnswer) decode(raw bool) (Answer, error) {
	n := e.numbers
	a := Answer{Text: e.texts[0], Reasoning: e.texts[1], ToolCalls: e.texts[2], Finish: e.texts[3], Model: e.texts[4], Fingerprint: e.texts[5],
		Usage: Usage{PromptTokens: int(n[0]), CachedTokens: int(n[1]), AnswerTokens: int(n[2]), ReasoningTokens: int(n[3])},
		Cost:  Money(n[4]), RetryCost: Money(n[5]), Batch: n[6] != 0, Attempts: int(n[7]), Latency: time.Duration(n[8])}
	tokens, logProbs := e.blobs[0], e.blobs[1]
	if len(tokens)%4 != 0 || len(logProbs)%4 != 0 {
		return a, fmt.Errorf("%d bytes of tokens and %d of log-probabilities: want multiples of 4", len(tokens), len(logProbs))
	}
	for b := tokens; len(b) > 0; b = b[4:] {
		a.Tokens = append(a.Tokens, int32(binary.LittleEndian.Uint32(b)))
	}
	for b := logProbs; len(b) > 0; b = b[4:] {
		a.LogProbs = append(a.LogProbs, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	var err error
	if a.Top, err = decodeTop(e.blobs[2]); err != nil {
		return a, err
	}
	if len(e.blobs[3]) > 0 {
		b, err := decompress(e.blobs[3])
		if err != nil {
			return a, fmt.Errorf("its tokens: %w", err)
		}
		if a.Pieces, err = decodePieces(b); err != nil {
			return a, err
		}
	}
	if raw && len(e.blobs[4]) > 0 {
		if a.Raw, err = decompress(e.blobs[4]); err != nil {
			return a, fmt.Errorf("the server's response: %w", err)
		}
	}
	return a, nil
}

// appendTop appends alternatives as column top has them.
func appendTop(b []byte, top []model.TopTokens) ([]byte, error) {
	for place, p := range top {
		if len(p.IDs) != len(p.LogProbs) {
			return b, fmt.Errorf("token %d of the answer: %d alternatives with %d log-probabilities", place, len(p.IDs), len(p.LogProbs))
		}
		b = binary.AppendUvarint(b, uint64(len(p.IDs)))
		for j, id := range p.IDs {
			b = binary.AppendUvarint(b, uint64(uint32(id)))
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.LogProbs[j]))
		}
	}
	return b, nil
}

func decodeTop(b []byte) ([]model.TopTokens, error) {
	errShort := errors.New("the alternatives end too early")
	var list []model.TopTokens
	for len(b) > 0 {
		k, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errShort
		}
		b = b[n:]
		if k > uint64(len(b)/5) { // the least that an alternative takes
			return nil, errShort
		}
		p := model.TopTokens{IDs: make([]int32, k), LogProbs: make([]float32, k)}
		for j := range p.IDs {
			id, n := binary.Uvarint(b)
			if n <= 0 || id > math.MaxUint32 || len(b) < n+4 {
				return nil, errShort
			}
			p.IDs[j] = int32(uint32(id))
			p.LogProbs[j] = math.Float32frombits(binary.LittleEndian.Uint32(b[n:]))
			b = b[n+4:]
		}
		list = append(list, p)
	}
	return list, nil
}

// Encoder and decoder keep no state between EncodeAll and DecodeAll, and serve
// any number of goroutines.
var (
	zstdEncoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false)) // the row has a checksum
	zstdDecoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(largestRaw))
)

func compress(b []byte) []byte { return zstdEncoder.EncodeAll(b, nil) }

func decompress(b []byte) ([]byte, error) { return zstdDecoder.DecodeAll(b, nil) }
