package distill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Ledger is a Purse with a cap, kept in a Store. Every reservation is on the
// disk before its call is made, and counts as spent in full until it is settled,
// whoever made it: of a process that died it does so for good, as nobody knows
// what its calls cost (Store.Release frees it). What was spent and reserved is
// so never above the cap, in whatever number of processes and goroutines.
type Ledger struct {
	store   *Store
	account string
	cap     Money

	mu      sync.Mutex // guards the rest
	open    map[int64]bool
	settled chan struct{} // closed with the next settlement
}

// patience bounds how long Reserve waits for other calls to end: about what the
// longest call takes.
const patience = 10 * time.Minute

// Ledger pays from the account of that name up to the cap, which is of all that
// was ever spent from the account. A cap of 0 pays only for what costs nothing.
func (s *Store) Ledger(account string, cap Money) (*Ledger, error) {
	if account == "" || cap < 0 {
		return nil, fmt.Errorf("ledger of account %q with a cap of %v: want a name, and a cap of 0 or more", account, cap)
	}
	return &Ledger{store: s, account: account, cap: cap, open: map[int64]bool{}, settled: make(chan struct{})}, nil
}

// Reserve is as Purse says. While calls of this Ledger are under way that may
// turn out cheaper than reserved, it waits for them rather than say ErrBudget:
// so all of the cap can be used. Who makes many calls at once, as a batch,
// therefore reserves their sum.
func (l *Ledger) Reserve(ctx context.Context, most Money) (int64, error) {
	if most < 0 {
		return 0, fmt.Errorf("reserve %v: want 0 or more", most)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		l.mu.Lock()
		settled := l.settled
		l.mu.Unlock()
		r, err := l.reserve(ctx, most)
		if err != nil {
			return 0, fmt.Errorf("reserve %v in %s: %w", most, l.store.path, err)
		}
		if r.id != 0 {
			return r.id, nil
		}
		used := fmt.Errorf("account %s: of the cap of %v, %v are spent and %v reserved for calls that have not ended; the next call may cost %v; "+
			"all answers so far are kept: raise the cap to go on: %w", l.account, l.cap, r.spent, r.reserved, most, ErrBudget)
		if r.open == 0 || most > l.cap-r.spent {
			return 0, used
		}
		select {
		case <-settled:
		case <-timer.C:
			return 0, used
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// reservation is what came of the attempt to make one.
type reservation struct {
	id              int64 // 0 if it is more than is left
	spent, reserved Money
	open            int // of this Ledger
}

func (l *Ledger) reserve(ctx context.Context, most Money) (reservation, error) {
	var r reservation
	err := l.store.writes.do(ctx, func(tx *sql.Tx) error {
		l.forget(r.id) // of a transaction that was rolled back
		r = reservation{}
		err := tx.QueryRow("SELECT spent, reserved FROM accounts WHERE name=?", l.account).Scan(&r.spent, &r.reserved)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = tx.Exec("INSERT INTO accounts (name, spent, reserved, calls) VALUES (?, 0, 0, 0)", l.account)
		}
		if err != nil {
			return err
		}
		if most > l.cap-r.spent-r.reserved {
			l.mu.Lock()
			r.open = len(l.open)
			l.mu.Unlock()
			return nil
		}
		if _, err := tx.Exec("UPDATE accounts SET reserved=reserved+? WHERE name=?", int64(most), l.account); err != nil {
			return err
		}
		made, err := tx.Exec("INSERT INTO reservations (account, most, created_at) VALUES (?, ?, ?)", l.account, int64(most), stamp(time.Now()))
		if err != nil {
			return err
		}
		if r.id, err = made.LastInsertId(); err != nil {
			return err
		}
		// Before the commit: who finds no room in the same transaction must know
		// that this one may make some.
		l.mu.Lock()
		l.open[r.id] = true
		l.mu.Unlock()
		return nil
	})
	if err != nil {
		l.forget(r.id)
	}
	return r, err
}

// forget ends a reservation here, and wakes those that wait for room.
func (l *Ledger) forget(id int64) {
	if id == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, id)
	close(l.settled)
	l.settled = make(chan struct{})
}

// Settle is as Purse says. A canceled ctx does not keep it from writing down
// what was spent. A call that cost more than was reserved, or whose reservation
// was released meanwhile, is written down as it is, and then an error.
func (l *Ledger) Settle(ctx context.Context, id int64, actual Money) error {
	if actual < 0 {
		return fmt.Errorf("settle %v: want 0 or more", actual)
	}
	var most Money
	var gone bool
	err := l.store.writes.do(context.WithoutCancel(ctx), func(tx *sql.Tx) error {
		most, gone = 0, false
		err := tx.QueryRow("DELETE FROM reservations WHERE id=? AND account=? RETURNING most", id, l.account).Scan(&most)
		if gone = errors.Is(err, sql.ErrNoRows); err != nil && !gone {
			return err
		}
		_, err = tx.Exec("UPDATE accounts SET reserved=reserved-?, spent=spent+?, calls=calls+1 WHERE name=?", int64(most), int64(actual), l.account)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle %v in %s: %w", actual, l.store.path, err)
	}
	l.forget(id)
	switch {
	case gone:
		return fmt.Errorf("settle %v: account %s has no reservation %d: it was settled before, or released; the amount counts", actual, l.account, id)
	case actual > most:
		return fmt.Errorf("settle %v: only %v were reserved as the most that the call can cost: the price is not right; the amount counts", actual, most)
	}
	return nil
}
