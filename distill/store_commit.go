package distill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// commits puts writes of many goroutines into one transaction: what waits while
// one is on its way to the disk goes together in the next. Whoever finds nobody
// at it does the work, for itself and for the others.
type commits struct {
	mu      sync.Mutex
	waiting []*commit
	busy    bool
}

// commit is one write that waits for its transaction.
type commit struct {
	ctx  context.Context
	do   func(tx *sql.Tx) error
	done chan error
}

// mostCommits is how many writes one transaction has.
const mostCommits = 256

// commit runs do in a transaction, and returns when it is on the disk. What an
// error of do has written is taken back, and the others' writes stay.
func (s *Store) commit(ctx context.Context, do func(tx *sql.Tx) error) error {
	c := &commit{ctx: ctx, do: do, done: make(chan error, 1)}
	q := &s.commits
	q.mu.Lock()
	q.waiting = append(q.waiting, c)
	if q.busy {
		q.mu.Unlock()
		return <-c.done
	}
	q.busy = true
	for len(q.waiting) > 0 {
		n := min(len(q.waiting), mostCommits)
		some := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
		q.mu.Unlock()
		s.commitAll(some)
		q.mu.Lock()
	}
	q.busy = false
	q.mu.Unlock()
	return <-c.done
}

// commitAll runs writes in one transaction. It is not any caller's own, so no
// caller's context ends it once it has begun.
func (s *Store) commitAll(list []*commit) {
	errs := make([]error, len(list))
	err := s.transaction(list, errs)
	for i, c := range list {
		c.done <- errors.Join(errs[i], err)
	}
}

func (s *Store) transaction(list []*commit, errs []error) error {
	ctx := context.Background()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	for i, c := range list {
		if errs[i] = c.ctx.Err(); errs[i] != nil {
			continue
		}
		if _, err := tx.ExecContext(ctx, "SAVEPOINT write"); err != nil {
			return err
		}
		end := "RELEASE write"
		if errs[i] = c.do(tx); errs[i] != nil {
			end = "ROLLBACK TO write"
		}
		if _, err := tx.ExecContext(ctx, end); err != nil {
			return fmt.Errorf("%s: %w", end, err)
		}
	}
	return tx.Commit()
}
