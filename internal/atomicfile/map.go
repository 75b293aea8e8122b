package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Mapping is the content of a file, mapped read-only into memory where the
// system can, else read into it.
type Mapping struct {
	path  string
	data  []byte
	unmap func([]byte) error // nil when there is nothing to unmap
}

// Map opens the regular file at path. The file must not be rewritten or
// shortened in place while it is mapped: reading what is gone ends the
// process. Replacing it by rename, as this package does, is harmless.
func Map(path string) (*Mapping, error) {
	// Looking first keeps a named pipe from blocking the open for ever.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, cause(err))
	}
	defer file.Close()
	m, err := mapOpen(path, file)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, cause(err))
	}
	return m, nil
}

func mapOpen(path string, file *os.File) (*Mapping, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size == 0 {
		return &Mapping{path: path}, nil
	}
	if int64(int(size)) != size {
		return nil, errors.New("file is larger than the address space")
	}
	data, unmap, err := mapFile(file, int(size))
	if err != nil {
		return nil, err
	}
	return &Mapping{path: path, data: data, unmap: unmap}, nil
}

// Bytes returns the whole content. It must not be written to, which would end
// the process, and must not be used after Close. After Close it is nil.
func (m *Mapping) Bytes() []byte { return m.data }

// Release gives back the memory that holds the content, if the system can read
// it from the file again. Bytes goes on to be the content.
func (m *Mapping) Release() {
	if m.unmap != nil && m.data != nil {
		releasePages(m.data)
	}
}

// Close releases the memory. A second Close returns fs.ErrClosed.
func (m *Mapping) Close() error {
	if m.path == "" {
		return fs.ErrClosed
	}
	path, data := m.path, m.data
	m.path, m.data = "", nil
	if data == nil || m.unmap == nil {
		return nil
	}
	if err := m.unmap(data); err != nil {
		return fmt.Errorf("unmap %s: %w", path, err)
	}
	return nil
}
