package extsort

import (
	"errors"
	"io/fs"
	"os"
)

// Scratch is a temporary file that nobody else needs to find. Where the system
// lets go of the names of open files (not Windows) the name is gone at once,
// so that a killed process leaves nothing behind.
type Scratch struct{ *os.File }

// NewScratch makes a file in dir; "" means the system's temporary directory.
func NewScratch(dir string) (Scratch, error) {
	f, err := os.CreateTemp(dir, ".scratch-*")
	if err != nil {
		return Scratch{}, err
	}
	os.Remove(f.Name()) // where it fails, Close tries again
	return Scratch{f}, nil
}

// Close closes and removes the file. It may be called twice.
func (s Scratch) Close() error {
	if s.File == nil {
		return nil
	}
	err := s.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	if gone := os.Remove(s.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}
