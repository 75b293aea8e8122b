package gguf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

const (
	magic   = "GGUF"
	version = 3 // written; 2 has the same layout

	alignmentKey     = "general.alignment"
	defaultAlignment = 32

	// minKVBytes is a key of one byte and a value of one byte.
	minKVBytes = 8 + 1 + 4 + 1
	// minTensorBytes is a name of one byte, no dims, the type and the offset.
	minTensorBytes = 8 + 1 + 4 + 4 + 8

	maxKeyBytes = 1<<16 - 1
)

// read fills f from a whole file. Everything that is later relied upon is
// checked here.
func (f *File) read(file []byte) error {
	c := &cursor{file: file}
	if err := readVersion(c); err != nil {
		return err
	}
	tensors, err := c.uint64()
	if err != nil {
		return fmt.Errorf("tensor count: %w", err)
	}
	kvs, err := c.count(minKVBytes)
	if err != nil {
		return fmt.Errorf("metadata count: %w", err)
	}
	if f.metadata, err = readMetadata(c, kvs); err != nil {
		return err
	}
	align, err := alignment(f.metadata)
	if err != nil {
		return err
	}
	if err := c.checkCount(tensors, minTensorBytes); err != nil {
		return fmt.Errorf("tensors: %w", err)
	}
	if err := f.readTensors(c, int(tensors)); err != nil {
		return err
	}
	start := padded(int64(c.pos), align)
	f.parts = []part{{data: file[min(start, int64(len(file))):]}}
	return f.checkRanges(start, align)
}

func readVersion(c *cursor) error {
	b, err := c.take(uint64(len(magic)))
	if err != nil || string(b) != magic {
		return fmt.Errorf("does not start with %q: not a GGUF file", magic)
	}
	v, err := c.uint32()
	switch {
	case err != nil:
		return fmt.Errorf("version: %w", err)
	case v == 2 || v == version:
		return nil
	case v > 0 && bits.ReverseBytes32(v) <= version:
		return errors.New("big-endian files are not supported")
	}
	return fmt.Errorf("version %d is not supported, 2 and 3 are", v)
}

func readMetadata(c *cursor, n int) (Metadata, error) {
	m := make(Metadata, n)
	seen := make(map[string]bool, n)
	for i := range m {
		key, err := c.string()
		if err == nil {
			err = checkKey(key)
		}
		if err != nil {
			return nil, fmt.Errorf("metadata key %d of %d: %w", i, n, err)
		}
		if seen[key] {
			return nil, fmt.Errorf("metadata %s: occurs twice", key)
		}
		seen[key] = true
		value, err := c.value()
		if err != nil {
			return nil, fmt.Errorf("metadata %s: %w", key, err)
		}
		m[i] = KV{key, value}
	}
	return m, nil
}

func checkKey(key string) error {
	if key == "" {
		return errors.New("empty")
	}
	if len(key) > maxKeyBytes {
		return fmt.Errorf("%d bytes, at most %d are possible", len(key), maxKeyBytes)
	}
	return nil
}

// alignment returns what offsets are multiples of.
func alignment(m Metadata) (int64, error) {
	n, ok, err := Get[uint32](m, alignmentKey)
	if err != nil {
		return 0, err
	}
	if !ok {
		return defaultAlignment, nil
	}
	if n == 0 || n%8 != 0 {
		return 0, fmt.Errorf("metadata %s: %d is not a multiple of 8", alignmentKey, n)
	}
	return int64(n), nil
}

func padded(n, align int64) int64 { return (n + align - 1) / align * align }

func (f *File) readTensors(c *cursor, n int) error {
	f.tensors = make([]TensorInfo, n)
	f.byName = make(map[string]int, n)
	for i := range f.tensors {
		name, err := c.string()
		if err == nil {
			err = checkName(name)
		}
		if err != nil {
			return fmt.Errorf("name of tensor %d of %d: %w", i, n, err)
		}
		if _, ok := f.byName[name]; ok {
			return fmt.Errorf("tensor %q: occurs twice", name)
		}
		f.byName[name] = i
		if f.tensors[i], err = readTensor(c, name); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return nil
}

func readTensor(c *cursor, name string) (TensorInfo, error) {
	count, err := c.uint32()
	if err != nil {
		return TensorInfo{}, err
	}
	if count > maxDims {
		return TensorInfo{}, fmt.Errorf("%d dimensions, at most %d are possible", count, maxDims)
	}
	t := TensorInfo{Name: name, Dims: make([]int, count)}
	for i := range t.Dims {
		if t.Dims[i], err = readSize(c); err != nil {
			return TensorInfo{}, fmt.Errorf("dimension %d: %w", i, err)
		}
	}
	number, err := c.uint32()
	if err != nil {
		return TensorInfo{}, err
	}
	t.Type = TensorType(number)
	offset, err := readSize(c)
	if err != nil {
		return TensorInfo{}, fmt.Errorf("offset: %w", err)
	}
	t.offset = int64(offset)
	t.Size, err = TensorSize(t.Type, t.Dims)
	return t, err
}

func readSize(c *cursor) (int, error) {
	n, err := c.uint64()
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt {
		return 0, fmt.Errorf("%d is larger than any file", n)
	}
	return int(n), nil
}

// checkRanges wants every tensor aligned, inside the file, and outside all
// others; start is where the tensors' bytes begin in the file.
func (f *File) checkRanges(start, align int64) error {
	have := int64(len(f.parts[0].data))
	for _, t := range f.tensors {
		if t.offset%align != 0 {
			return fmt.Errorf("tensor %q: offset %d is not a multiple of the alignment, %d", t.Name, t.offset, align)
		}
		if t.Size > have-t.offset { // an offset past the end makes the difference negative
			return fmt.Errorf("tensor %q: needs %d bytes at offset %d after byte %d, file has %d after it: truncated",
				t.Name, t.Size, t.offset, start, have)
		}
	}
	order := slices.Clone(f.tensors)
	slices.SortFunc(order, func(a, b TensorInfo) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.Size, b.Size))
	})
	for i := 1; i < len(order); i++ {
		if before := order[i-1]; order[i].offset < before.offset+before.Size {
			return fmt.Errorf("tensor %q: overlaps %q", order[i].Name, before.Name)
		}
	}
	return nil
}
