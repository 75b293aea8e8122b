package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// TensorData is a tensor to write.
type TensorData struct {
	Name string
	Type TensorType
	Dims []int // ggml order: Dims[0] is the length of a row
	// WriteTo writes the blocks, row after row: TensorSize(Type, Dims) bytes
	// exactly, or it is an error. It is called once, after all tensors have
	// been checked and those before it written.
	WriteTo func(w io.Writer) error
}

// WriteFile writes a file to path, which appears complete or not at all.
func WriteFile(path string, meta []KV, tensors []TensorData) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, meta, tensors) })
}

// Write writes metadata and tensors, both in the order given. Tensors are
// aligned to "general.alignment" of meta (uint32, a power of two from 8, as
// llama.cpp demands), else to 32 bytes; the last is padded too.
func Write(w io.Writer, meta []KV, tensors []TensorData) error {
	align, err := writeAlignment(meta)
	if err != nil {
		return err
	}
	head := append([]byte(magic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(head[len(magic):], version)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(tensors)))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(meta)))
	if head, err = appendMetadata(head, meta); err != nil {
		return err
	}
	head, sizes, err := appendTensors(head, tensors, align)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	if len(tensors) == 0 {
		return nil // as other writers do: there is no data to align
	}
	if err := pad(w, int64(len(head)), align); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	for i, t := range tensors {
		if err := writeTensor(w, t, sizes[i], align); err != nil {
			return fmt.Errorf("write tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

func writeAlignment(meta []KV) (int64, error) {
	align, err := alignment(meta)
	if err != nil {
		return 0, err
	}
	if align&(align-1) != 0 {
		return 0, fmt.Errorf("metadata %s: %d is not a power of two", alignmentKey, align)
	}
	return align, nil
}

func appendMetadata(head []byte, meta []KV) ([]byte, error) {
	seen := make(map[string]bool, len(meta))
	for i, kv := range meta {
		if err := checkKey(kv.Key); err != nil {
			return nil, fmt.Errorf("metadata key %d of %d: %w", i, len(meta), err)
		}
		if seen[kv.Key] {
			return nil, fmt.Errorf("metadata %s: given twice", kv.Key)
		}
		seen[kv.Key] = true
		var err error
		if head, err = appendValue(appendString(head, kv.Key), kv.Value); err != nil {
			return nil, fmt.Errorf("metadata %s: %w", kv.Key, err)
		}
	}
	return head, nil
}

// appendTensors appends the descriptions of tensors and returns their sizes.
func appendTensors(head []byte, tensors []TensorData, align int64) ([]byte, []int64, error) {
	seen := make(map[string]bool, len(tensors))
	sizes := make([]int64, len(tensors))
	offset := int64(0)
	for i, t := range tensors {
		size, err := t.check()
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return nil, nil, fmt.Errorf("tensor %q: given twice", t.Name)
		}
		seen[t.Name] = true
		if size > math.MaxInt64-offset-align {
			return nil, nil, fmt.Errorf("tensor %q: ends past the size of any file", t.Name)
		}
		head = binary.LittleEndian.AppendUint32(appendString(head, t.Name), uint32(len(t.Dims)))
		for _, n := range t.Dims {
			head = binary.LittleEndian.AppendUint64(head, uint64(n))
		}
		head = binary.LittleEndian.AppendUint32(head, uint32(t.Type))
		head = binary.LittleEndian.AppendUint64(head, uint64(offset))
		offset = padded(offset+size, align)
		sizes[i] = size
	}
	return head, sizes, nil
}

// check refuses a tensor that a reader would refuse, and returns its size.
func (t TensorData) check() (int64, error) {
	if err := checkName(t.Name); err != nil {
		return 0, err
	}
	if len(t.Name) == maxNameBytes {
		return 0, fmt.Errorf("name of %d bytes: llama.cpp refuses it, having room for one less", len(t.Name))
	}
	if t.WriteTo == nil {
		return 0, errors.New("no data")
	}
	return TensorSize(t.Type, t.Dims)
}

func writeTensor(w io.Writer, t TensorData, size, align int64) error {
	exact := &exactWriter{w: w, left: size}
	if err := t.WriteTo(exact); err != nil {
		return err
	}
	if exact.left != 0 {
		return fmt.Errorf("%d bytes of data, %s of dims %v needs %d", size-exact.left, t.Type, t.Dims, size)
	}
	return pad(w, size, align)
}

// pad writes the zeros that bring n up to a multiple of align.
func pad(w io.Writer, n, align int64) error {
	var zeros [4096]byte
	for left := padded(n, align) - n; left > 0; {
		m, err := w.Write(zeros[:min(left, int64(len(zeros)))])
		if err != nil {
			return err
		}
		left -= int64(m)
	}
	return nil
}

// exactWriter refuses to write more than is left.
type exactWriter struct {
	w    io.Writer
	left int64
}

func (e *exactWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		return 0, fmt.Errorf("more data than type and dims allow: %d bytes for the %d left", len(p), e.left)
	}
	n, err := e.w.Write(p)
	e.left -= int64(n)
	return n, err
}
