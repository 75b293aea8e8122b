package distill

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Account is what was spent from one account.
type Account struct {
	Name     string `json:"name"`
	Spent    Money  `json:"spent_nano_usd"`
	Reserved Money  `json:"reserved_nano_usd"` // for calls that have not ended, or whose process died
	Calls    int    `json:"calls"`             // that ended
	Open     int    `json:"open"`              // reservations
}

// Spending lists the accounts by name.
func (s *Store) Spending(ctx context.Context) ([]Account, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name, spent, reserved, calls, (SELECT count(*) FROM reservations WHERE account=name)
		FROM accounts ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read accounts of %s: %w", s.path, err)
	}
	defer rows.Close()
	var list []Account
	for rows.Next() {
		var a Account
		if err := rows.Scan(&a.Name, &a.Spent, &a.Reserved, &a.Calls, &a.Open); err != nil {
			return nil, fmt.Errorf("read accounts of %s: %w", s.path, err)
		}
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read accounts of %s: %w", s.path, err)
	}
	return list, nil
}

// Release frees the account's reservations made before that time, and returns
// their sum. It is for people who know that no process that made them is alive,
// and that their calls were not billed.
func (s *Store) Release(ctx context.Context, account string, before time.Time) (Money, error) {
	var freed Money
	err := s.writes.do(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRow("SELECT coalesce(sum(most), 0) FROM reservations WHERE account=? AND created_at<?", account, stamp(before)).Scan(&freed); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM reservations WHERE account=? AND created_at<?", account, stamp(before)); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE accounts SET reserved=reserved-? WHERE name=?", int64(freed), account)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("release reservations in %s: %w", s.path, err)
	}
	return freed, nil
}
