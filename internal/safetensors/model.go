package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

const (
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
)

// Model is the open weights of a Hugging Face model directory: one file, or
// shards with an index.
type Model struct {
	dir     string
	shards  []*File          // by file name
	tensors map[string]*File // which shard holds a tensor
}

// OpenModel opens model.safetensors in dir or, if there is none, the shards
// that model.safetensors.index.json lists, checking that each tensor is where
// the index says. Tensors that the index does not list are not part of the
// Model.
func OpenModel(dir string) (*Model, error) {
	file, err := Open(filepath.Join(dir, singleName))
	if err == nil {
		return newModel(dir, file), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	index, err := readIndex(filepath.Join(dir, indexName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open model %s: neither %s nor %s: %w", dir, singleName, indexName, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return openShards(dir, index)
}

func newModel(dir string, file *File) *Model {
	m := &Model{dir: dir, shards: []*File{file}, tensors: map[string]*File{}}
	for name := range file.header.tensors {
		m.tensors[name] = file
	}
	return m
}

// openShards opens every shard once; index gives the shard of each tensor.
func openShards(dir string, index map[string]string) (*Model, error) {
	m := &Model{dir: dir, tensors: make(map[string]*File, len(index))}
	if err := m.openAll(index); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Model) openAll(index map[string]string) error {
	byName := map[string]*File{}
	for _, shard := range slices.Compact(slices.Sorted(maps.Values(index))) {
		file, err := Open(filepath.Join(m.dir, shard))
		if err != nil {
			return fmt.Errorf("shard listed in %s: %w", indexName, err)
		}
		m.shards = append(m.shards, file)
		byName[shard] = file
	}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		file := byName[index[name]]
		if _, ok := file.header.tensors[name]; !ok {
			return fmt.Errorf("read %s: no tensor %q, which %s says is there", file.path, name, indexName)
		}
		m.tensors[name] = file
	}
	return nil
}

// readIndex reads the weight_map of an index: the shard's file name by tensor.
func readIndex(path string) (map[string]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxHeaderBytes {
		return nil, fmt.Errorf("read %s: not a regular file of at most %d bytes", path, maxHeaderBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	index, err := parseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return index, nil
}

func parseIndex(text []byte) (map[string]string, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8")
	}
	dec, err := newDecoder(text)
	if err != nil {
		return nil, err
	}
	index := map[string]string{}
	err = readObject(dec, func(key string) error {
		if key == "weight_map" {
			return readStrings(dec, index)
		}
		var ignored any // "metadata" holds a total size, which other writers get wrong
		return dec.Decode(&ignored)
	})
	if err != nil {
		return nil, err
	}
	if len(index) == 0 {
		return nil, errors.New("no tensors in weight_map")
	}
	for name, shard := range index {
		if !filepath.IsLocal(shard) {
			return nil, fmt.Errorf("tensor %q: %q is not a file in the model's directory", name, shard)
		}
	}
	return index, nil
}

// Names returns the names of all tensors, sorted.
func (m *Model) Names() []string { return slices.Sorted(maps.Keys(m.tensors)) }

// Info describes the tensor called name, and says whether there is one.
func (m *Model) Info(name string) (Info, bool) {
	file, ok := m.tensors[name]
	if !ok {
		return Info{}, false
	}
	return file.Info(name)
}

// Metadata returns the free-form strings of all shards; where two disagree,
// those of the shard whose file name sorts first.
func (m *Model) Metadata() map[string]string {
	all := map[string]string{}
	for _, file := range slices.Backward(m.shards) {
		maps.Copy(all, file.header.metadata)
	}
	return all
}

// Bytes returns the elements of the tensor called name, as File.Bytes does.
func (m *Model) Bytes(name string) ([]byte, error) {
	file, ok := m.tensors[name]
	if !ok {
		return nil, fmt.Errorf("read model %s: no tensor %q", m.dir, name)
	}
	return file.Bytes(name)
}

// Release gives back the memory of the mapped shards, as File.Release does.
func (m *Model) Release() {
	for _, file := range m.shards {
		file.Release()
	}
}

// Close releases the shards and with them every slice that Bytes returned.
func (m *Model) Close() error {
	var errs []error
	for _, file := range m.shards {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}
