package distill

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Record is an answer with all that the store knows about it.
type Record struct {
	Key       Key
	Teacher   string // its Identity
	Request   Request
	Answer    Answer
	CreatedAt time.Time
}

// Filter says which records are wanted. The zero value is all of them.
type Filter struct {
	Key      string    // in hexadecimal, or how it begins
	Teacher  string    // part of the teacher's identity
	Model    string    // part of the model's name, as the server says it
	Finish   string    // how the answer ended
	Contains string    // part of the prompt, the messages, the answer or the reasoning
	Since    time.Time // kept at that time or later
	Limit    int       // the most that are returned; 0 means all
}

// where is the filter in SQL, but for Limit.
func (f Filter) where() (string, []any, error) {
	conditions, args := []string{"rowid > ?"}, []any{}
	add := func(condition string, values ...any) {
		conditions, args = append(conditions, condition), append(args, values...)
	}
	if f.Key != "" {
		low, err := hex.DecodeString(f.Key + strings.Repeat("0", max(0, 2*len(Key{})-len(f.Key))))
		if err != nil || len(low) != len(Key{}) {
			return "", nil, fmt.Errorf("key %q: want up to %d hexadecimal digits", f.Key, 2*len(Key{}))
		}
		high, _ := hex.DecodeString(f.Key + strings.Repeat("f", 2*len(Key{})-len(f.Key)))
		add("key BETWEEN ? AND ?", low, high)
	}
	if f.Teacher != "" {
		add("instr(teacher, ?) > 0", f.Teacher)
	}
	if f.Model != "" {
		add("instr(model, ?) > 0", f.Model)
	}
	if f.Finish != "" {
		add("finish = ?", f.Finish)
	}
	if t := f.Contains; t != "" {
		add("(instr(prompt, ?) > 0 OR instr(messages, ?) > 0 OR instr(answer, ?) > 0 OR instr(reasoning, ?) > 0)", t, t, t, t)
	}
	if !f.Since.IsZero() {
		// To the second: version 1 wrote fractions of any length.
		add("substr(created_at, 1, 19) >= ?", stamp(f.Since)[:19])
	}
	return strings.Join(conditions, " AND "), args, nil
}

// recordsPerQuery bounds how many records are held at a time, and how long a
// query keeps others from shortening the write-ahead log.
const recordsPerQuery = 64

// Records reads the records that the filter wants, in the order in which they
// were kept. A damaged one comes with a *DamagedError, and what can be read of
// it, and does not end the reading; any other error does.
func (s *Store) Records(ctx context.Context, f Filter) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		where, args, err := f.where()
		if err != nil {
			yield(Record{}, err)
			return
		}
		after, left := int64(0), f.Limit
		for {
			page := recordsPerQuery
			if f.Limit > 0 {
				page = min(page, left)
			}
			list, last, err := s.page(ctx, where, append([]any{after}, args...), page)
			for _, r := range list {
				if !yield(r.Record, r.err) {
					return
				}
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("read answer store %s: %w", s.path, err))
				return
			}
			left -= len(list)
			if len(list) < page || f.Limit > 0 && left == 0 {
				return
			}
			after = last
		}
	}
}

type recordOrDamage struct {
	Record
	err error
}

// page reads up to n records, and says which row was the last.
func (s *Store) page(ctx context.Context, where string, args []any, n int) (list []recordOrDamage, last int64, err error) {
	rows, err := s.read.QueryContext(ctx, "SELECT rowid, "+answerColumns+", "+strings.Join(requestColumns, ", ")+
		" FROM answers WHERE "+where+" ORDER BY rowid LIMIT ?", append(args, n)...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := s.scanRecord(rows, &last)
		if damaged := new(DamagedError); err != nil && !errors.As(err, &damaged) {
			return list, last, err
		}
		list = append(list, recordOrDamage{Record: r, err: err})
	}
	return list, last, rows.Err()
}

func (s *Store) scanRecord(rows *sql.Rows, id *int64) (Record, error) {
	var e storedAnswer
	var r Record
	var name []byte
	var settings, created string
	q := &r.Request
	places := append([]any{id}, e.places(&name)...)
	if err := rows.Scan(append(places, &r.Teacher, &settings, &q.Sample, &q.Prompt, &q.Given, &q.Messages, &q.Tools, &q.Schema, &created)...); err != nil {
		return r, err
	}
	copy(r.Key[:], name)
	r.CreatedAt, _ = time.Parse(time.RFC3339Nano, created)
	var err error
	if r.Answer, err = s.checked(name, &e, true); err != nil {
		return r, err
	}
	if err = q.apply(settings); err == nil && q.Key(r.Teacher) != r.Key {
		err = errors.New("its key is of another request")
	}
	if err != nil {
		return r, &DamagedError{Path: s.path, Key: r.Key.String(), Err: err}
	}
	return r, nil
}
