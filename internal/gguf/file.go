package gguf

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// File is an open GGUF file.
type File struct {
	path     string
	metadata Metadata
	tensors  []TensorInfo
	byName   map[string]int      // index into tensors
	data     []byte              // the tensors' bytes; nil once closed
	mapping  *atomicfile.Mapping // nil if the caller owns the bytes
}

// Open maps the file at path, reads its metadata and checks the place of every
// tensor.
func Open(path string) (*File, error) {
	mapping, err := atomicfile.Map(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(path, mapping.Bytes())
	if err != nil {
		mapping.Close()
		return nil, err
	}
	f.mapping = mapping
	return f, nil
}

// Parse is Open on the content of a file, which must stay as it is while the
// File is used; name stands for the path in errors.
func Parse(name string, content []byte) (*File, error) {
	f := &File{path: name}
	if err := f.read(content); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return f, nil
}

// Metadata returns the metadata in the file's order. It remains valid after
// Close, and must not be changed.
func (f *File) Metadata() Metadata { return f.metadata }

// Tensors describes all tensors, in the file's order. The slice must not be
// changed.
func (f *File) Tensors() []TensorInfo { return f.tensors }

// Tensor describes the tensor called name, and says whether there is one.
func (f *File) Tensor(name string) (TensorInfo, bool) {
	i, ok := f.byName[name]
	if !ok {
		return TensorInfo{}, false
	}
	return f.tensors[i], true
}

// Bytes returns the blocks of the tensor called name, row after row, without
// copying. The slice belongs to the File: it must not be written to (that ends
// the process if the file is mapped) nor used after Close.
func (f *File) Bytes(name string) ([]byte, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("read %s: no tensor %q", f.path, name)
	}
	if f.data == nil {
		return nil, fmt.Errorf("read %s: tensor %q: %w", f.path, name, fs.ErrClosed)
	}
	return slices.Clip(f.data[t.offset : t.offset+t.Size]), nil
}

// Release gives back the memory of the mapped file: what is used again is read again.
func (f *File) Release() {
	if f.mapping != nil {
		f.mapping.Release()
	}
}

// Close releases the file and with it every slice that Bytes returned.
func (f *File) Close() error {
	if f.data == nil {
		return fmt.Errorf("close %s: %w", f.path, fs.ErrClosed)
	}
	f.data = nil
	if f.mapping == nil {
		return nil
	}
	return f.mapping.Close()
}
