package distill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

const (
	applicationID = 0x7265746f // "reto", in the file's header
	schemaVersion = 2
	// checkedBytes is the size up to which a file is checked as a whole when it
	// is opened; each answer has a checksum of its own besides.
	checkedBytes = 256 << 20
)

// schema is: what the teacher said, in the columns that Get reads and the
// checksum covers, small ones first; what it was asked, from which the key can
// be computed again; and the ledger.
var schema = []string{`CREATE TABLE answers (
	key BLOB NOT NULL UNIQUE,          -- SHA-256 of teacher and request
	prompt_tokens INTEGER NOT NULL,
	cached_tokens INTEGER NOT NULL,
	answer_tokens INTEGER NOT NULL,
	reasoning_tokens INTEGER NOT NULL,
	cost INTEGER NOT NULL,             -- billionths of a US dollar
	retry_cost INTEGER NOT NULL,       -- the same, of the attempts before the last
	batch INTEGER NOT NULL,            -- 1: through a batch API
	attempts INTEGER NOT NULL,
	latency_ns INTEGER NOT NULL,
	checksum INTEGER NOT NULL,         -- CRC-32C of the columns of the answer
	created_at TEXT NOT NULL,          -- RFC 3339
	finish TEXT NOT NULL,              -- stop, length, empty, given, tool_calls, refusal
	model TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	answer TEXT NOT NULL,
	reasoning TEXT NOT NULL,
	tool_calls TEXT NOT NULL,          -- JSON array
	teacher TEXT NOT NULL,
	settings TEXT NOT NULL,            -- JSON
	sample INTEGER NOT NULL,
	prompt TEXT NOT NULL,
	given TEXT,                        -- the response that was scored
	messages TEXT NOT NULL,            -- JSON array
	tools TEXT NOT NULL,               -- JSON array
	response_schema TEXT NOT NULL,     -- JSON
	tokens BLOB NOT NULL,              -- int32 little-endian
	log_probs BLOB NOT NULL,           -- float32 little-endian, nats
	top BLOB NOT NULL,                 -- per token: count, then (id, float32); counts and ids as varints
	pieces BLOB NOT NULL,              -- see appendPieces
	raw BLOB NOT NULL                  -- zstd
) STRICT`,
	`CREATE TABLE accounts (
	name TEXT PRIMARY KEY,
	spent INTEGER NOT NULL,            -- billionths of a US dollar
	reserved INTEGER NOT NULL,         -- the sum of its reservations
	calls INTEGER NOT NULL             -- settled ones
) STRICT`,
	`CREATE TABLE reservations (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL,
	most INTEGER NOT NULL,             -- billionths of a US dollar
	created_at TEXT NOT NULL           -- RFC 3339, UTC
) STRICT`,
	fmt.Sprintf("PRAGMA application_id=%d", applicationID), fmt.Sprintf("PRAGMA user_version=%d", schemaVersion)}

// The columns of an answer, in the order of storedAnswer's values.
var (
	textColumns    = []string{"answer", "reasoning", "tool_calls", "finish", "model", "fingerprint"}
	numberColumns  = []string{"prompt_tokens", "cached_tokens", "answer_tokens", "reasoning_tokens", "cost", "retry_cost", "batch", "attempts", "latency_ns"}
	blobColumns    = []string{"tokens", "log_probs", "top", "pieces", "raw"}
	requestColumns = []string{"teacher", "settings", "sample", "prompt", "given", "messages", "tools", "response_schema", "created_at"}
)

var answerColumns = "key, " + strings.Join(textColumns, ", ") + ", " + strings.Join(numberColumns, ", ") + ", " + strings.Join(blobColumns, ", ") + ", checksum"

var insertAnswer = "INSERT INTO answers (" + answerColumns + ", " + strings.Join(requestColumns, ", ") + ") VALUES (?" +
	strings.Repeat(",?", strings.Count(answerColumns, ",")+len(requestColumns)) + ") ON CONFLICT (key) DO NOTHING"

// prepare checks a file of that size, and makes the tables in a new one.
func (s *Store) prepare(ctx context.Context, size int64) error {
	if err := s.create(ctx); err != nil {
		return err
	}
	// Only now is it known to be ours, and may be changed. Write-ahead logging
	// lets others read while one writes.
	if _, err := s.write.ExecContext(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return err
	}
	if size > checkedBytes {
		return nil
	}
	var verdict string
	if err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("the file is damaged: %s", verdict)
	}
	return nil
}

func (s *Store) create(ctx context.Context) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	var id, version, tables int
	for query, to := range map[string]*int{
		"PRAGMA application_id": &id, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := tx.QueryRowContext(ctx, query).Scan(to); err != nil {
			return err
		}
	}
	switch {
	case id == applicationID && version == schemaVersion:
		return nil
	case id == applicationID && version == 1:
		if err := migrate(ctx, tx); err != nil {
			return fmt.Errorf("bring it up to date: %w", err)
		}
		return tx.Commit()
	case id == applicationID:
		return fmt.Errorf("it has schema version %d, and this program knows %d", version, schemaVersion)
	case id != 0 || version != 0 || tables != 0:
		return errors.New("it is another program's SQLite database")
	}
	if err := execute(ctx, tx, schema...); err != nil {
		return err
	}
	return tx.Commit()
}

func execute(ctx context.Context, tx *sql.Tx, statements ...string) error {
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
