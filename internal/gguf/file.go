package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// File is an open GGUF file, or all files of a split one.
type File struct {
	path     string // of the first
	metadata Metadata
	tensors  []TensorInfo
	byName   map[string]int // index into tensors
	parts    []part
	closed   bool
}

// part is one file's tensors.
type part struct {
	data    []byte              // the tensors' bytes
	mapping *atomicfile.Mapping // nil if the caller owns the bytes
}

// Open maps the file at path, reads its metadata and checks the place of every
// tensor. If it is the first of several (split.count), so are the others, which
// have their numbers in their names, and the File has the tensors of all.
func Open(path string) (*File, error) {
	f, err := openOne(path)
	if err != nil {
		return nil, err
	}
	if err := f.openRest(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func openOne(path string) (*File, error) {
	mapping, err := atomicfile.Map(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(path, mapping.Bytes())
	if err != nil {
		mapping.Close()
		return nil, err
	}
	f.parts[0].mapping = mapping
	return f, nil
}

// Parse is Open on the content of a single file, which must stay as it is while
// the File is used; name stands for the path in errors.
func Parse(name string, content []byte) (*File, error) {
	f := &File{path: name}
	if err := f.read(content); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return f, nil
}

// Metadata returns the metadata in the file's order, the first file's where there
// are several. It remains valid after
// Close, and must not be changed.
func (f *File) Metadata() Metadata { return f.metadata }

// Tensors describes all tensors, in the order of the files. The slice must not be
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
	if f.closed {
		return nil, fmt.Errorf("read %s: tensor %q: %w", f.path, name, fs.ErrClosed)
	}
	return slices.Clip(f.parts[t.part].data[t.offset : t.offset+t.Size]), nil
}

// Release gives back the memory of the mapped files: what is used again is read again.
func (f *File) Release() {
	for _, p := range f.parts {
		if p.mapping != nil {
			p.mapping.Release()
		}
	}
}

// Close releases the files and with them every slice that Bytes returned.
func (f *File) Close() error {
	if f.closed {
		return fmt.Errorf("close %s: %w", f.path, fs.ErrClosed)
	}
	f.closed = true
	var errs []error
	for _, p := range f.parts {
		if p.mapping != nil {
			errs = append(errs, p.mapping.Close())
		}
	}
	return errors.Join(errs...)
}
