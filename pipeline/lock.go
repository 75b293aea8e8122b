package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// lockPoll is how often a waiting process looks again. Polling rather than a
// blocking flock, which no context can end.
const lockPoll = 50 * time.Millisecond

// lock is held on an open file, so that the system releases it when the
// process ends in any way. The file is removed on release: whoever opened it
// before that sees that its path leads elsewhere, and opens again.
type lock struct {
	file *os.File
	path string
}

// tryLock takes the lock at path, shared with other readers or exclusive. It
// returns nil if another process or goroutine is in the way.
func tryLock(path string, shared bool) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
		ok, err := flock(f, shared)
		if err != nil || !ok {
			f.Close()
			if err != nil {
				err = fmt.Errorf("lock %s: %w", path, err)
			}
			return nil, err
		}
		if stillThere(f, path) {
			return &lock{f, path}, nil
		}
		f.Close()
	}
}

func stillThere(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// waitLock takes the lock at path, waiting as long as it takes or until ctx
// ends. Each time it is not free it calls busy with the number of the look,
// from 1, and gives up, returning nil, if that returns true.
func waitLock(ctx context.Context, path string, shared bool, busy func(look int) bool) (*lock, error) {
	for look := 1; ; look++ {
		l, err := tryLock(path, shared)
		if l != nil || err != nil {
			return l, err
		}
		if busy(look) {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", filepath.Base(path), ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// sign writes who holds an exclusive lock, for those who wait.
func (l *lock) sign(holder string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("sign lock: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(holder+"\n"), 0); err != nil {
		return fmt.Errorf("sign lock: %w", err)
	}
	return nil
}

// release gives the lock up, and removes its file if nobody shares it.
func (l *lock) release() error {
	var err error
	if alone, flockErr := flock(l.file, false); flockErr == nil && alone && stillThere(l.file, l.path) {
		err = os.Remove(l.path)
	}
	return errors.Join(err, l.file.Close())
}

// lockHolder returns what the holder of a lock wrote into it.
func lockHolder(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "another process"
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 300))
	line, _, _ := strings.Cut(string(data), "\n")
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line)
	if err != nil || line == "" {
		return "another process"
	}
	return line
}

// lockHeld says whether a process holds the lock at path exclusively. It
// makes no file.
func lockHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock: %w", err)
	}
	defer f.Close()
	ok, err := flock(f, true)
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", path, err)
	}
	return !ok, nil
}
