package distill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite" // and the "sqlite" driver
)

// Store keeps every answer that a teacher gave, by the Key of its request, and
// what was spent (Ledger), in one SQLite file. Several processes and goroutines
// may use it at once.
type Store struct {
	path   string
	write  *sql.DB // one connection: SQLite has one writer
	read   *sql.DB // others read what is committed meanwhile
	writes commits
}

const (
	smallestFile = 512              // bytes of the least SQLite page, and so of a file
	lockWait     = 60 * time.Second // how long one process waits for another's write
	readers      = 4                // connections that read
)

// OpenStore opens the store at path, and creates it if there is no such file.
// A store of an earlier version is brought up to date, in one transaction. A
// file that is damaged, or not a store, is an error that names it.
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
	size, err := sizeOf(full)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	// synchronous FULL: a transaction is on the disk when it returns.
	if s.write, err = openDB(full, "&_pragma=synchronous(FULL)&_txlock=immediate"); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	s.writes.db = s.write
	if err := patiently(ctx, func() error { return s.prepare(ctx, size) }); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	if s.read, err = openDB(full, "&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	return s, nil
}

// busy is SQLite's code for a database that another connection holds.
const busy = 5

// patiently repeats try while others hold the database. SQLite itself waits for
// their writes, but not for them to switch the file to write-ahead logging.
func patiently(ctx context.Context, try func() error) error {
	for start := time.Now(); ; {
		err := try()
		held := new(sqlite.Error)
		if !errors.As(err, &held) || held.Code()&0xff != busy || time.Since(start) > lockWait {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// openDB opens a database. cell_size_check, trusted_schema: for damaged and
// hostile files.
func openDB(full, settings string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(full)}).EscapedPath()+
		fmt.Sprintf("?_pragma=busy_timeout(%d)&_pragma=cell_size_check(1)&_pragma=trusted_schema(0)", lockWait.Milliseconds())+settings)
}

// sizeOf is the size of the file in bytes, 0 if there is none yet.
func sizeOf(full string) (int64, error) {
	info, err := os.Stat(filepath.Dir(full)) // SQLite would say "out of memory"
	if err != nil {
		return 0, err
	}
	if !info.IsDir() {
		return 0, errors.New("its directory is a file")
	}
	if info, err = os.Stat(full); err != nil {
		return 0, nil
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("not a regular file")
	}
	if size := info.Size(); size > 0 && size < smallestFile { // SQLite would begin it anew
		return 0, fmt.Errorf("%d bytes are no SQLite database", size)
	}
	return info.Size(), nil
}

// Close ends the use of the store.
func (s *Store) Close() error {
	if err := errors.Join(s.read.Close(), s.write.Close()); err != nil {
		return fmt.Errorf("close answer store %s: %w", s.path, err)
	}
	return nil
}

// Path is where the store is.
func (s *Store) Path() string { return s.path }
