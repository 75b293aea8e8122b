package distill

import (
	"context"
	"database/sql"
	"sync"
)

// commits lets many writers share a transaction, and so the wait for the disk:
// whoever comes while one commits waits with the others, and the first of them
// then commits for all.
type commits struct {
	db      *sql.DB
	mu      sync.Mutex // guards waiting
	waiting []*write
	turn    sync.Mutex // held during a transaction; guards done and err of its writes
}

// write is one caller's part of a transaction.
type write struct {
	run  func(*sql.Tx) error
	done bool
	err  error
}

// do runs run in a transaction, and returns when that is on the disk. If run is
// in one with others and one of them fails, it is rolled back and run again
// alone. Once it waits, a cancel no longer stops it: others may depend on it.
func (g *commits) do(ctx context.Context, run func(*sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &write{run: run}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	g.turn.Lock()
	defer g.turn.Unlock()
	if !w.done {
		g.mu.Lock()
		list := g.waiting
		g.waiting = nil
		g.mu.Unlock()
		g.commit(context.WithoutCancel(ctx), list)
	}
	return w.err
}

func (g *commits) commit(ctx context.Context, list []*write) {
	err := g.transact(ctx, list)
	for i, w := range list {
		if w.err = err; err != nil && len(list) > 1 {
			w.err = g.transact(ctx, list[i:i+1])
		}
		w.done = true
	}
}

func (g *commits) transact(ctx context.Context, list []*write) error {
	tx, err := g.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	for _, w := range list {
		if err := w.run(tx); err != nil {
			return err
		}
	}
	return tx.Commit()
}
