package distill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

const (
	applicationID = 0x7265746f // "reto", in the file's header
	schemaVersion = 1
	// checkedBytes is the size up to which a file is checked as a whole when it
	// is opened; each answer has a checksum of its own besides.
	checkedBytes = 256 << 20
)

// What the teacher said, in the columns that Get reads and the checksum covers;
// then what it was asked, and when, for people who look into the file.
const createAnswers = `CREATE TABLE answers (
	key BLOB NOT NULL UNIQUE,        -- SHA-256 of teacher and request
	answer TEXT NOT NULL,
	finish TEXT NOT NULL,            -- stop, length, empty, given
	prompt_tokens INTEGER NOT NULL,
	tokens BLOB NOT NULL,            -- int32 little-endian
	log_probs BLOB NOT NULL,         -- float32 little-endian, nats
	top BLOB NOT NULL,               -- per token: count, then (id, float32); counts and ids as varints
	latency_ns INTEGER NOT NULL,
	checksum INTEGER NOT NULL,       -- CRC-32C of the columns above
	teacher TEXT NOT NULL,
	prompt TEXT NOT NULL,
	given TEXT,                      -- the response that was scored
	settings TEXT NOT NULL,          -- JSON
	answer_tokens INTEGER NOT NULL,
	created_at TEXT NOT NULL         -- RFC 3339
) STRICT`

const answerColumns = "key, answer, finish, prompt_tokens, tokens, log_probs, top, latency_ns, checksum"

const insertAnswer = "INSERT INTO answers (" + answerColumns +
	", teacher, prompt, given, settings, answer_tokens, created_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (key) DO NOTHING"

// prepare checks a file of that size, and makes the table in a new one.
func (s *Store) prepare(ctx context.Context, size int64) error {
	if err := s.create(ctx); err != nil {
		return err
	}
	// Only now is it known to be ours, and may be changed. Write-ahead logging
	// lets others read while one writes.
	if _, err := s.db.ExecContext(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return err
	}
	if size > checkedBytes {
		return nil
	}
	var verdict string
	if err := s.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("the file is damaged: %s", verdict)
	}
	return nil
}

func (s *Store) create(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
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
	case id == applicationID:
		return fmt.Errorf("it has schema version %d, and this program knows %d", version, schemaVersion)
	case id != 0 || version != 0 || tables != 0:
		return errors.New("it is another program's SQLite database")
	}
	for _, statement := range []string{
		createAnswers, fmt.Sprintf("PRAGMA application_id=%d", applicationID), fmt.Sprintf("PRAGMA user_version=%d", schemaVersion),
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// describe is a request's settings for people to read.
func describe(r Request) (string, error) {
	text, err := json.Marshal(settingsOf(r))
	return string(text), err
}

// settings is what a request asks for besides the prompt.
type settings struct {
	MaxTokens   int     `json:"max_tokens"`
	TopK        int     `json:"top_k"`
	Temperature float64 `json:"temperature"`
	SampleTopK  int     `json:"sample_top_k"`
	SampleTopP  float64 `json:"sample_top_p"`
	MinP        float64 `json:"min_p,omitempty"`
	Repetition  float64 `json:"repetition_penalty,omitempty"`
	Seed        uint64  `json:"seed"`
}

func settingsOf(r Request) settings {
	r = r.canonical()
	return settings{MaxTokens: r.MaxTokens, TopK: r.TopK, Temperature: r.Sampling.Temperature,
		SampleTopK: r.Sampling.TopK, SampleTopP: r.Sampling.TopP,
		MinP: r.Sampling.MinP, Repetition: r.Sampling.RepetitionPenalty, Seed: r.Seed}
}
