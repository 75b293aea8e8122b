package gguf

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

const (
	// maxDims is ggml's limit, GGML_MAX_DIMS.
	maxDims = 4
	// maxNameBytes is the format's limit on tensor names.
	maxNameBytes = 64
)

// TensorInfo describes a tensor of a file.
type TensorInfo struct {
	Name string
	Type TensorType
	Dims []int // ggml order: Dims[0] is the length of a row; empty for one element
	Size int64 // bytes

	part   int   // which file has it
	offset int64 // from the start of that file's tensor data
}

// TensorSize returns how many bytes a tensor takes; dims are in ggml order.
func TensorSize(t TensorType, dims []int) (int64, error) {
	block := t.BlockSize()
	if block == 0 {
		return 0, fmt.Errorf("unknown tensor %s", t)
	}
	if len(dims) > maxDims {
		return 0, fmt.Errorf("%d dimensions, at most %d are possible", len(dims), maxDims)
	}
	row := 1
	if len(dims) > 0 {
		row = dims[0]
	}
	if row%block != 0 {
		return 0, fmt.Errorf("rows of %d elements are not whole %s blocks of %d", row, t, block)
	}
	// The product of the elements is checked, not that of the bytes: readers
	// count elements too.
	elements := uint64(1)
	for _, n := range dims {
		if n < 0 {
			return 0, fmt.Errorf("dims %v: negative", dims)
		}
		high, low := bits.Mul64(elements, uint64(n))
		if high != 0 || low > math.MaxInt64/maxTypeSize {
			return 0, fmt.Errorf("dims %v of %s: larger than any file", dims, t)
		}
		elements = low
	}
	return int64(elements) / int64(block) * int64(t.TypeSize()), nil
}

// maxTypeSize bounds TypeSize, so that a byte count cannot overflow.
const maxTypeSize = 256

// checkName refuses names that no file may hold.
func checkName(name string) error {
	if name == "" {
		return errors.New("tensor without a name")
	}
	if len(name) > maxNameBytes {
		return fmt.Errorf("tensor name of %d bytes, at most %d are possible", len(name), maxNameBytes)
	}
	return nil
}
