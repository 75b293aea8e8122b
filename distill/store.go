package distill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the "sqlite" driver
)

// Store keeps every answer that a teacher gave, by the Key of its request, in
// one SQLite file. Several processes and goroutines may use it at once.
type Store struct {
	path string
	db   *sql.DB
}

// smallestFile is the least size of an SQLite page, and so of a file.
const smallestFile = 512

// lockWait is how long one process waits for another's write.
const lockWait = 60 * time.Second

// OpenStore opens the store at path, and creates it if there is no such file.
// A file that is damaged, or not a store, is an error that names it.
func OpenStore(ctx context.Context, path string) (*Store, error) {
	s, err := openStore(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open answer store %s: %w", path, err)
	}
	return s, nil
}

func openStore(ctx context.Context, path string) (*Store, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(filepath.Dir(full)) // SQLite would say "out of memory"
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, errors.New("its directory is a file")
	}
	var size int64
	if info, err := os.Stat(full); err == nil {
		if !info.Mode().IsRegular() {
			return nil, errors.New("not a regular file")
		}
		size = info.Size()
		if size > 0 && size < smallestFile { // SQLite would begin it anew
			return nil, fmt.Errorf("%d bytes are no SQLite database", size)
		}
	}
	// synchronous FULL: a transaction is on the disk when it returns.
	// cell_size_check, trusted_schema: for damaged and hostile files.
	settings := fmt.Sprintf("?_pragma=busy_timeout(%d)&_pragma=synchronous(FULL)&_pragma=cell_size_check(1)"+
		"&_pragma=trusted_schema(0)&_txlock=immediate", lockWait.Milliseconds())
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(full)}).EscapedPath()+settings)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; more connections would wait for each other
	s := &Store{path: path, db: db}
	if err := s.prepare(ctx, size); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Close ends the use of the store.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close answer store %s: %w", s.path, err)
	}
	return nil
}

// Path is where the store is.
func (s *Store) Path() string { return s.path }

// keysPerQuery bounds the parameters of one query.
const keysPerQuery = 256

// Get returns the answers to those keys that the store has.
func (s *Store) Get(ctx context.Context, keys []Key) (map[Key]Answer, error) {
	found := make(map[Key]Answer)
	for len(keys) > 0 {
		n := min(len(keys), keysPerQuery)
		if err := s.get(ctx, keys[:n], found); err != nil {
			return nil, fmt.Errorf("read answer store %s: %w", s.path, err)
		}
		keys = keys[n:]
	}
	return found, nil
}

func (s *Store) get(ctx context.Context, keys []Key, found map[Key]Answer) error {
	args := make([]any, len(keys))
	for i := range keys {
		args[i] = keys[i][:]
	}
	rows, err := s.db.QueryContext(ctx, "SELECT "+answerColumns+" FROM answers WHERE key IN (?"+strings.Repeat(",?", len(keys)-1)+")", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		key, answer, err := scanAnswer(rows)
		if err != nil {
			return err
		}
		found[key] = answer
	}
	return rows.Err()
}

// Put keeps the answer to a request to the teacher of that identity. When it
// returns, the answer is on the disk. If the store has an answer already, that
// one stays, and is returned: it may have been used.
func (s *Store) Put(ctx context.Context, teacher string, r Request, a Answer) (Answer, error) {
	key := r.Key(teacher)
	kept, err := s.put(ctx, key, teacher, r, a)
	if err != nil {
		return Answer{}, fmt.Errorf("write answer store %s: %w", s.path, err)
	}
	if kept {
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

func (s *Store) put(ctx context.Context, key Key, teacher string, r Request, a Answer) (bool, error) {
	e, err := encodeAnswer(key, a)
	if err != nil {
		return false, err
	}
	settings, err := describe(r)
	if err != nil {
		return false, err
	}
	done, err := s.db.ExecContext(ctx, insertAnswer, key[:], e.text, e.finish, e.promptTokens, e.tokens, e.logProbs, e.top, e.latency,
		e.checksum, teacher, r.Prompt, r.Given, settings, len(a.Tokens), time.Now().UTC().Format(time.RFC3339Nano))
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n == 1, err
}
