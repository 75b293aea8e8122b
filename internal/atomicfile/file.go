package atomicfile

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// TempPrefix starts the name of every file that is not yet published. A killed
// process leaves such a file behind; whoever lists a directory must skip them.
const TempPrefix = ".tmp-"

// bufferBytes is large enough that many small writes become few system calls;
// larger single writes bypass the buffer.
const bufferBytes = 64 << 10

// File is a file being written. It appears at its path with Commit, complete,
// or not at all.
type File struct {
	path string // the destination, and the name that errors carry
	temp string
	file *os.File // nil once committed or aborted
	buf  *bufio.Writer
	err  error // of a failed Write
}

// Create starts writing the file at path, whose directory must exist. The
// caller ends with Commit or Abort; `defer f.Abort()` covers every other way
// out, panics included. If path is a symbolic link, the link is replaced.
func Create(path string) (*File, error) {
	if path == "" {
		return nil, errors.New("create file: empty path")
	}
	temp := filepath.Join(filepath.Dir(path), TempPrefix+rand.Text())
	// O_EXCL with mode 0666 rather than os.CreateTemp, whose 0600 would keep
	// other users of a shared store from reading the published file.
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, cause(err))
	}
	return newFile(path, temp, file), nil
}

func newFile(path, temp string, file *os.File) *File {
	return &File{path: path, temp: temp, file: file, buf: bufio.NewWriterSize(file, bufferBytes)}
}

// Write implements io.Writer. The data is buffered, so that a full disk may
// show at a later Write or at Commit.
func (f *File) Write(p []byte) (int, error) {
	if f.file == nil {
		return 0, f.closed("write")
	}
	n, err := f.buf.Write(p)
	if err != nil {
		f.err = fmt.Errorf("write %s: %w", f.path, cause(err))
		return n, f.err
	}
	return n, nil
}

// Commit publishes the file. If it fails, the temporary file is gone and the
// old file is as it was; only when the last step fails, syncing the directory
// after the rename, is the new file in place without a promise that it
// survives a loss of power.
func (f *File) Commit() error {
	if f.file == nil {
		return f.closed("commit")
	}
	if err := f.publish(); err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := syncDir(filepath.Dir(f.path)); err != nil {
		return fmt.Errorf("write %s: sync directory: %w", f.path, err)
	}
	return nil
}

func (f *File) publish() error {
	// A failed Write is remembered by the buffer, whose Flush repeats its error.
	if err := f.buf.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", f.path, cause(err))
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.path, cause(err))
	}
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", f.path, cause(err))
	}
	if err := os.Rename(f.temp, f.path); err != nil {
		return fmt.Errorf("rename to %s: %w", f.path, cause(err))
	}
	f.file = nil
	return nil
}

// Abort removes the temporary file and leaves the old one untouched. After
// Commit or an earlier Abort it does nothing.
func (f *File) Abort() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	if errors.Is(err, fs.ErrClosed) { // a failed Commit got as far as closing it
		err = nil
	}
	f.file = nil
	if removal := os.Remove(f.temp); removal != nil && !errors.Is(removal, fs.ErrNotExist) {
		err = errors.Join(err, removal)
	}
	if err != nil {
		return fmt.Errorf("abort %s: %w", f.path, err)
	}
	return nil
}

func (f *File) closed(operation string) error {
	return fmt.Errorf("%s %s: %w", operation, f.path, fs.ErrClosed)
}

// Write creates or replaces the file at path with what write produces. If
// write fails or panics, or the disk does, the temporary file is removed and
// the old file, if any, is untouched.
func Write(path string, write func(w io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort() // for a panic in write; otherwise already ended below
	if err := write(f); err != nil {
		// The writer's own error may be the File's, which names the path already.
		if f.err == nil || !errors.Is(err, f.err) {
			err = fmt.Errorf("write %s: %w", path, err)
		}
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

// WriteBytes creates or replaces the file at path with data.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// cause strips the operation and the temporary name off a file error: the
// caller knows the destination, and says what was being done to it.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return linkErr.Err
	}
	return err
}
