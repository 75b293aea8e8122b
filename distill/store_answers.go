package distill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// keysPerQuery bounds the parameters of one query.
const keysPerQuery = 256

// DamagedError is an answer that is not as it was written.
type DamagedError struct {
	Path string
	Key  string // in hexadecimal
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("read answer store %s: answer %s: %v: the file is damaged there; to ask for this answer again, delete it: DELETE FROM answers WHERE key=x'%s'",
		e.Path, e.Key, e.Err, e.Key)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Get returns the answers to those keys that the store has. An answer that is
// not as it was written is a *DamagedError.
func (s *Store) Get(ctx context.Context, keys []Key) (map[Key]Answer, error) {
	return s.get(ctx, keys, true)
}

func (s *Store) get(ctx context.Context, keys []Key, raw bool) (map[Key]Answer, error) {
	found := make(map[Key]Answer)
	err := s.query(ctx, answerColumns, keys, func(rows *sql.Rows) error {
		var e storedAnswer
		var name []byte
		if err := rows.Scan(e.places(&name)...); err != nil {
			return err
		}
		a, err := s.checked(name, &e, raw)
		if err != nil {
			return err
		}
		found[Key(name)] = a
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// checked is the answer of a row, if it is as it was written.
func (s *Store) checked(name []byte, e *storedAnswer, raw bool) (Answer, error) {
	damaged := func(err error) (Answer, error) {
		return Answer{}, &DamagedError{Path: s.path, Key: fmt.Sprintf("%x", name), Err: err}
	}
	if len(name) != len(Key{}) {
		return damaged(fmt.Errorf("a key of %d bytes", len(name)))
	}
	if e.sum(Key(name)) != e.checksum {
		return damaged(errors.New("it does not match its checksum"))
	}
	a, err := e.decode(raw)
	if err != nil {
		return damaged(err)
	}
	return a, nil
}

// query calls row with each row of the keys.
func (s *Store) query(ctx context.Context, columns string, keys []Key, row func(*sql.Rows) error) error {
	for len(keys) > 0 {
		n := min(len(keys), keysPerQuery)
		if err := s.queryOnce(ctx, columns, keys[:n], row); err != nil {
			if damaged := new(DamagedError); errors.As(err, &damaged) {
				return err
			}
			return fmt.Errorf("read answer store %s: %w", s.path, err)
		}
		keys = keys[n:]
	}
	return nil
}

func (s *Store) queryOnce(ctx context.Context, columns string, keys []Key, row func(*sql.Rows) error) error {
	args := make([]any, len(keys))
	for i := range keys {
		args[i] = keys[i][:]
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+columns+" FROM answers WHERE key IN (?"+strings.Repeat(",?", len(keys)-1)+")", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// bill is what an answer took, without the answer.
type bill struct {
	Usage
	cost  Money
	batch bool
}

// bills are those of the keys that the store has.
func (s *Store) bills(ctx context.Context, keys []Key) (map[Key]bill, error) {
	found := make(map[Key]bill)
	err := s.query(ctx, "key, prompt_tokens, cached_tokens, answer_tokens, reasoning_tokens, cost, batch", keys, func(rows *sql.Rows) error {
		var name []byte
		var b bill
		if err := rows.Scan(&name, &b.PromptTokens, &b.CachedTokens, &b.AnswerTokens, &b.ReasoningTokens, &b.cost, &b.batch); err != nil {
			return err
		}
		if len(name) == len(Key{}) {
			found[Key(name)] = b
		}
		return nil
	})
	return found, err
}

// Put keeps the answer to a request to the teacher of that identity. When it
// returns, the answer is on the disk; Puts at the same time share the wait for
// it. If the store has an answer already, that one stays, and is returned: it
// may have been used. An answer of FinishFailed is none, and an error.
func (s *Store) Put(ctx context.Context, teacher string, r Request, a Answer) (Answer, error) {
	key := r.Key(teacher)
	kept, err := s.put(ctx, teacher, []arrival{{key: key, request: r, answer: a}})
	if err != nil {
		return Answer{}, err
	}
	if kept == 1 {
		return a, nil
	}
	found, err := s.Get(ctx, []Key{key})
	if err != nil {
		return Answer{}, err
	}
	have, ok := found[key]
	if !ok {
		return Answer{}, fmt.Errorf("write answer store %s: the answer %s is there and cannot be found: the file is damaged", s.path, key)
	}
	return have, nil
}

// arrival is an answer that is to be kept.
type arrival struct {
	key     Key
	request Request
	answer  Answer
}

// put keeps answers in one transaction. It says how many there were none of.
func (s *Store) put(ctx context.Context, teacher string, list []arrival) (int, error) {
	rows := make([][]any, len(list))
	for i, a := range list {
		var err error
		if rows[i], err = encodeRow(teacher, a); err != nil {
			return 0, fmt.Errorf("write answer store %s: answer %s: %w", s.path, a.key, err)
		}
	}
	var kept int
	err := s.writes.do(ctx, func(tx *sql.Tx) error {
		kept = 0
		for _, row := range rows {
			done, err := tx.Exec(insertAnswer, row...)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			if err != nil {
				return err
			}
			kept += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("write answer store %s: %w", s.path, err)
	}
	return kept, nil
}

func encodeRow(teacher string, a arrival) ([]any, error) {
	if a.answer.Finish == FinishFailed || a.answer.Finish == "" {
		return nil, fmt.Errorf("its finish is %q: there is no answer to keep", a.answer.Finish)
	}
	e, err := encodeAnswer(a.key, a.answer)
	if err != nil {
		return nil, err
	}
	settings, err := describe(a.request)
	if err != nil {
		return nil, err
	}
	r := a.request
	return append(e.values(a.key[:]), teacher, settings, r.Sample, r.Prompt, r.Given, r.Messages, r.Tools, r.Schema, stamp(time.Now())), nil
}

// Answered is a request with its answer.
type Answered struct {
	Index   int
	Request Request
	Answer  Answer // without Raw; of FinishFailed if the store has none
}

// answersPerQuery bounds how many answers Each holds at a time.
const answersPerQuery = 64

// Each reads the answers of the teacher of that identity to the requests, in
// their order, a few at a time. It ends with the first error.
func (s *Store) Each(ctx context.Context, teacher string, requests iter.Seq2[Request, error]) iter.Seq2[Answered, error] {
	return func(yield func(Answered, error) bool) {
		index := 0
		for chunk, err := range chunks(requests, answersPerQuery) {
			keys := make([]Key, len(chunk))
			for i, r := range chunk {
				keys[i] = r.Key(teacher)
			}
			found, readErr := s.get(ctx, keys, false)
			if readErr != nil {
				yield(Answered{Index: index}, readErr)
				return
			}
			for i, r := range chunk {
				a, ok := found[keys[i]]
				if !ok {
					a = Answer{Finish: FinishFailed, Error: "the store has no answer"}
				}
				if !yield(Answered{Index: index, Request: r, Answer: a}, nil) {
					return
				}
				index++
			}
			if err != nil {
				yield(Answered{Index: index}, err)
				return
			}
		}
	}
}

// chunks cuts requests into lists of up to size; an error comes with those
// before it, and is the last. A list is the caller's until it asks for the next.
func chunks(requests iter.Seq2[Request, error], size int) iter.Seq2[[]Request, error] {
	return func(yield func([]Request, error) bool) {
		chunk := make([]Request, 0, size)
		for r, err := range requests {
			if err != nil {
				yield(chunk, err)
				return
			}
			if chunk = append(chunk, r); len(chunk) == size {
				if !yield(chunk, nil) {
					return
				}
				chunk = chunk[:0]
			}
		}
		if len(chunk) > 0 {
			yield(chunk, nil)
		}
	}
}
