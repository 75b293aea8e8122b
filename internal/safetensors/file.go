package safetensors

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// Info describes a tensor.
type Info struct {
	Dtype Dtype
	Shape []int // row-major; empty for a scalar
	Size  int64 // bytes
}

// File is an open safetensors file.
type File struct {
	path    string
	data    []byte // the tensors' bytes; nil once closed
	header  header
	mapping *atomicfile.Mapping // nil if the caller owns the bytes
}

// Open maps the file at path and checks its whole header. A file that ends too
// early, or is damaged in any way that the header shows, is an error naming
// the tensor.
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
	h, err := readHeader(content)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return &File{path: name, data: content[h.bytes:], header: h}, nil
}

// Names returns the names of all tensors, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.header.tensors)) }

// Info describes the tensor called name, and says whether there is one.
func (f *File) Info(name string) (Info, bool) {
	e, ok := f.header.tensors[name]
	if !ok {
		return Info{}, false
	}
	return Info{Dtype: e.dtype, Shape: slices.Clone(e.shape), Size: e.end - e.begin}, true
}

// Metadata returns a copy of the header's free-form strings.
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.metadata) }

// Bytes returns the elements of the tensor called name, little-endian, without
// copying. The slice belongs to the File: it must not be written to (that ends
// the process if the file is mapped) nor used after Close.
func (f *File) Bytes(name string) ([]byte, error) {
	e, ok := f.header.tensors[name]
	if !ok {
		return nil, fmt.Errorf("read %s: no tensor %q", f.path, name)
	}
	if f.data == nil {
		return nil, fmt.Errorf("read %s: tensor %q: %w", f.path, name, fs.ErrClosed)
	}
	return f.data[e.begin:e.end:e.end], nil
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
