package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Store is the directory that holds artifacts and run records. Any number of
// processes and goroutines may use it at once.
type Store struct {
	dir    string // absolute
	hashes *fileHashes
}

// Open returns the store in dir. It makes and changes nothing: the directory
// comes into being with the first run.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return nil, errors.New("open store: no directory given")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open store %s: %w", dir, cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("open store %s: not a directory", dir)
	}
	return &Store{dir: abs, hashes: &fileHashes{path: filepath.Join(abs, "file-hashes.json")}}, nil
}

// Dir returns the store's absolute path.
func (s *Store) Dir() string { return s.dir }

func (s *Store) artifactDir(name string) string { return filepath.Join(s.dir, "artifacts", name) }
func (s *Store) stagingDir(name string) string  { return filepath.Join(s.dir, "staging", name) }
func (s *Store) scratchDir(name string) string  { return filepath.Join(s.dir, "scratch", name) }
func (s *Store) runDir(id string) string        { return filepath.Join(s.dir, "runs", id) }

func (s *Store) artifactLock(name string) string {
	return filepath.Join(s.dir, "locks", "artifact-"+name)
}
func (s *Store) runLock(id string) string { return filepath.Join(s.dir, "locks", "run-"+id) }

// create makes the directories that a run writes to.
func (s *Store) create() error {
	for _, sub := range []string{"artifacts", "staging", "scratch", "aside", "runs", "locks"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o777); err != nil {
			return fmt.Errorf("create store: %w", err)
		}
	}
	return nil
}

// sweep removes what killed processes left in staging and locks. What a
// living process is writing is guarded by the lock of its artifact.
func (s *Store) sweep() error {
	names, err := subdirectories(filepath.Join(s.dir, "staging"))
	if err != nil {
		return err
	}
	for _, name := range names {
		l, err := tryLock(s.artifactLock(name), false)
		if err != nil {
			return err
		}
		if l == nil {
			continue
		}
		err = os.RemoveAll(s.stagingDir(name))
		if err = errors.Join(err, l.release()); err != nil {
			return fmt.Errorf("remove leftover %s: %w", s.stagingDir(name), err)
		}
	}
	return s.sweepLocks()
}

// sweepLocks takes and releases every lock that nobody holds, which removes
// its file.
func (s *Store) sweepLocks() error {
	dir := filepath.Join(s.dir, "locks")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		l, err := tryLock(filepath.Join(dir, e.Name()), false)
		if err == nil && l != nil {
			err = l.release()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeScratch removes what is left of the scratch directory of a committed
// artifact, where a kill struck right after the commit.
func (s *Store) removeScratch(n *node) error {
	dir := s.scratchDir(n.dirName())
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l, err := tryLock(s.artifactLock(n.dirName()), false)
	if err != nil || l == nil { // whoever holds it is removing it
		return err
	}
	return errors.Join(os.RemoveAll(dir), l.release())
}

// saveHashes keeps the hashes of outside files for the next run. If another
// process is saving, this one's are left for the next time.
func (s *Store) saveHashes() error {
	l, err := tryLock(filepath.Join(s.dir, "locks", "file-hashes"), false)
	if err != nil || l == nil {
		return err
	}
	if err := errors.Join(s.hashes.save(), l.release()); err != nil {
		return fmt.Errorf("save %s: %w", s.hashes.path, err)
	}
	return nil
}

// subdirectories returns the names of the directories in dir, sorted; none if
// dir does not exist.
func subdirectories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
