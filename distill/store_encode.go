package distill

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/retort-ml/retort/internal/model"
)

// storedAnswer is an answer as the columns of the table.
type storedAnswer struct {
	text, finish          string
	promptTokens, latency int64
	tokens, logProbs, top []byte
	checksum              int64
}

func encodeAnswer(key Key, a Answer) (storedAnswer, error) {
	e := storedAnswer{text: a.Text, finish: a.Finish, promptTokens: int64(a.PromptTokens), latency: int64(a.Latency),
		tokens: []byte{}, logProbs: []byte{}, top: []byte{}} // not nil, which would be NULL
	for _, id := range a.Tokens {
		e.tokens = binary.LittleEndian.AppendUint32(e.tokens, uint32(id))
	}
	for _, v := range a.LogProbs {
		e.logProbs = binary.LittleEndian.AppendUint32(e.logProbs, math.Float32bits(v))
	}
	for place, p := range a.Top {
		if len(p.IDs) != len(p.LogProbs) {
			return e, fmt.Errorf("token %d of the answer: %d alternatives with %d log-probabilities", place, len(p.IDs), len(p.LogProbs))
		}
		e.top = binary.AppendUvarint(e.top, uint64(len(p.IDs)))
		for j, id := range p.IDs {
			e.top = binary.AppendUvarint(e.top, uint64(uint32(id)))
			e.top = binary.LittleEndian.AppendUint32(e.top, math.Float32bits(p.LogProbs[j]))
		}
	}
	e.checksum = e.sum(key)
	return e, nil
}

// sum is the checksum of the columns before it. SQLite has none: a bit that
// flips on the disk would otherwise be an answer.
func (e *storedAnswer) sum(key Key) int64 {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	var size [8]byte
	for _, part := range [][]byte{key[:], []byte(e.text), []byte(e.finish), e.tokens, e.logProbs, e.top} {
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	for _, n := range []int64{e.promptTokens, e.latency} {
		binary.LittleEndian.PutUint64(size[:], uint64(n))
		h.Write(size[:])
	}
	return int64(h.Sum32())
}

// scanAnswer reads one row of answerColumns.
func scanAnswer(rows *sql.Rows) (Key, Answer, error) {
	var e storedAnswer
	var name []byte
	if err := rows.Scan(&name, &e.text, &e.finish, &e.promptTokens, &e.tokens, &e.logProbs, &e.top, &e.latency, &e.checksum); err != nil {
		return Key{}, Answer{}, err
	}
	if len(name) != len(Key{}) {
		return Key{}, Answer{}, fmt.Errorf("a key of %d bytes: the file is damaged", len(name))
	}
	key := Key(name)
	if e.sum(key) != e.checksum {
		return key, Answer{}, fmt.Errorf("answer %s does not match its checksum: the file is damaged", key)
	}
	a, err := e.decode()
	if err != nil {
		return key, a, fmt.Errorf("answer %s: %w", key, err)
	}
	return key, a, nil
}

func (e *storedAnswer) decode() (Answer, error) {
	a := Answer{Text: e.text, Finish: e.finish, Usage: Usage{PromptTokens: int(e.promptTokens)}, Latency: time.Duration(e.latency)}
	if len(e.tokens)%4 != 0 || len(e.logProbs)%4 != 0 {
		return a, fmt.Errorf("%d bytes of tokens and %d of log-probabilities: want multiples of 4", len(e.tokens), len(e.logProbs))
	}
	for b := e.tokens; len(b) > 0; b = b[4:] {
		a.Tokens = append(a.Tokens, int32(binary.LittleEndian.Uint32(b)))
	}
	a.AnswerTokens = len(a.Tokens)
	for b := e.logProbs; len(b) > 0; b = b[4:] {
		a.LogProbs = append(a.LogProbs, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	var err error
	a.Top, err = decodeTop(e.top)
	return a, err
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
