package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// RenameDir publishes the directory from under the name to: it syncs every
// regular file and every directory below from, renames from to to, and syncs
// the parents. Both must be on one file system. It fails with an error that is
// fs.ErrExist if to exists, and changes nothing then.
func RenameDir(from, to string) error {
	if err := renameDir(from, to); err != nil {
		return fmt.Errorf("rename directory %s to %s: %w", from, to, err)
	}
	return nil
}

func renameDir(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return cause(err)
	}
	if !info.IsDir() {
		return errors.New("the first is not a directory")
	}
	if err := syncTree(from); err != nil {
		return err
	}
	// os.Rename would silently replace an empty directory. If one appears
	// after this look it is replaced, and nothing is lost; one with content
	// makes the rename fail.
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return cause(err)
	}
	if err := os.Rename(from, to); err != nil {
		return cause(err)
	}
	if err := syncDir(filepath.Dir(to)); err != nil {
		return fmt.Errorf("sync the parent directory: %w", err)
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	if err := syncDir(filepath.Dir(from)); err != nil {
		return fmt.Errorf("sync the old parent directory: %w", err)
	}
	return nil
}

// syncTree syncs what dir holds and then dir itself. Symbolic links live in
// their directory's data; devices and pipes have nothing to sync.
func syncTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch {
		case entry.IsDir():
			err = syncTree(path)
		case entry.Type().IsRegular():
			err = syncFile(path)
		}
		if err != nil {
			return err
		}
	}
	return syncDir(dir)
}

func syncFile(path string) error {
	mode := os.O_RDONLY
	if runtime.GOOS == "windows" {
		mode = os.O_RDWR // it flushes only handles that may write
	}
	file, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// syncDir makes the names in a directory durable, where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot open a directory for syncing
	}
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = file.Sync()
	// Some network and user-space file systems cannot sync a directory at all.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, file.Close())
}
