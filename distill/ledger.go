package distill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Money that was spent, by account, and money that is set aside for calls that
// are under way. A reservation whose process died before it could say what the
// call cost stays: the call may have been billed.
const (
	createAccounts = `CREATE TABLE accounts (
	name TEXT NOT NULL PRIMARY KEY,
	spent INTEGER NOT NULL           -- billionths of a US dollar
) STRICT`
	createReservations = `CREATE TABLE reservations (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL,
	amount INTEGER NOT NULL,         -- billionths of a US dollar
	created_at TEXT NOT NULL         -- RFC 3339
) STRICT`
)

// Account is a Purse with a cap on all that was ever spent under its name in one
// store, by any run and any process.
type Account struct {
	store *Store
	name  string
	cap   Money // 0 means none
}

var _ Purse = (*Account)(nil)

// Account is the account of that name. A cap of 0 means that there is none, and
// that what is spent is only written down.
func (s *Store) Account(name string, most Money) *Account {
	return &Account{store: s, name: name, cap: most}
}

// BudgetError says that a call might cost more than an account has left.
type BudgetError struct {
	Account              string
	Cap, Spent, Reserved Money
	Most                 Money // that the call can cost
}

func (e *BudgetError) Error() string {
	text := fmt.Sprintf("%v: account %s has %v of %v left, and one more call can cost %v", ErrBudget, e.Account, e.Cap-e.Spent-e.Reserved, e.Cap, e.Most)
	if e.Reserved > 0 {
		text += fmt.Sprintf("; %v is set aside for calls under way, or of processes that died among them", e.Reserved)
	}
	return text + "; all answers so far are kept: raise the budget to go on"
}

// Unwrap makes errors.Is(err, ErrBudget) true.
func (e *BudgetError) Unwrap() error { return ErrBudget }

// Reserve implements Purse.
func (a *Account) Reserve(ctx context.Context, most Money) (id int64, err error) {
	if most < 0 {
		return 0, fmt.Errorf("ledger of %s: reserve %v: want 0 or more", a.store.path, most)
	}
	err = a.store.commit(ctx, func(tx *sql.Tx) error {
		b, err := balance(ctx, tx, a.name)
		if err != nil {
			return err
		}
		if a.cap > 0 && b.Spent+b.Reserved+most > a.cap {
			return &BudgetError{Account: a.name, Cap: a.cap, Spent: b.Spent, Reserved: b.Reserved, Most: most}
		}
		done, err := tx.ExecContext(ctx, "INSERT INTO reservations (account, amount, created_at) VALUES (?,?,?)",
			a.name, int64(most), time.Now().UTC().Format(time.RFC3339Nano))
		if err != nil {
			return err
		}
		id, err = done.LastInsertId()
		return err
	})
	return id, a.wrap("reserve", err)
}

// Settle implements Purse. It is done even if ctx has ended: the call was made.
func (a *Account) Settle(ctx context.Context, id int64, actual Money) error {
	ctx = context.WithoutCancel(ctx)
	err := a.store.commit(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM reservations WHERE id=? AND account=?", id, a.name)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, fmt.Errorf("there is no reservation %d of account %s", id, a.name))
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO accounts (name, spent) VALUES (?,?) ON CONFLICT (name) DO UPDATE SET spent=spent+excluded.spent",
			a.name, int64(actual))
		return err
	})
	return a.wrap("settle", err)
}

func (a *Account) wrap(what string, err error) error {
	var budget *BudgetError
	if err == nil || errors.As(err, &budget) {
		return err
	}
	return fmt.Errorf("ledger of %s: %s: %w", a.store.path, what, err)
}

// Balance is how an account stands.
type Balance struct {
	Account         string
	Spent, Reserved Money
	Calls           int // that Reserved is for
}

// Balance is how the account stands.
func (a *Account) Balance(ctx context.Context) (Balance, error) {
	b, err := balance(ctx, a.store.db, a.name)
	return b, a.wrap("read", err)
}

// queryer is a database or a transaction.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func balance(ctx context.Context, q queryer, name string) (Balance, error) {
	b := Balance{Account: name}
	err := q.QueryRowContext(ctx, `SELECT coalesce((SELECT spent FROM accounts WHERE name=?1), 0),
		coalesce((SELECT sum(amount) FROM reservations WHERE account=?1), 0), (SELECT count(*) FROM reservations WHERE account=?1)`, name).
		Scan(&b.Spent, &b.Reserved, &b.Calls)
	return b, err
}

// Balances lists all accounts of the store, by name.
func (s *Store) Balances(ctx context.Context) (list []Balance, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT name FROM accounts UNION SELECT account FROM reservations ORDER BY 1")
	if err != nil {
		return nil, fmt.Errorf("ledger of %s: %w", s.path, err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("ledger of %s: %w", s.path, err)
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("ledger of %s: %w", s.path, err)
	}
	for _, name := range names {
		b, err := s.Account(name, 0).Balance(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// Release gives up the account's reservations: for calls of dead processes that
// the provider's bill shows were not charged. Nobody may be using the account.
// It returns what was released.
func (a *Account) Release(ctx context.Context) (Money, error) {
	var released Money
	err := a.store.commit(ctx, func(tx *sql.Tx) error {
		b, err := balance(ctx, tx, a.name)
		if err != nil {
			return err
		}
		released = b.Reserved
		_, err = tx.ExecContext(ctx, "DELETE FROM reservations WHERE account=?", a.name)
		return err
	})
	return released, a.wrap("release", err)
}
