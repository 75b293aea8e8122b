package model

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
)

// ggufFormats are the types of tensors that are kept as they are stored.
var ggufFormats = map[gguf.TensorType]compute.Format{
	gguf.F32: compute.F32, gguf.F16: compute.F16, gguf.BF16: compute.BF16, gguf.Q8_0: compute.Q8_0,
	gguf.Q4_0: compute.Q4_0, gguf.Q4_1: compute.Q4_1, gguf.Q5_0: compute.Q5_0, gguf.Q5_1: compute.Q5_1,
	gguf.Q2_K: compute.Q2_K, gguf.Q3_K: compute.Q3_K, gguf.Q4_K: compute.Q4_K, gguf.Q5_K: compute.Q5_K, gguf.Q6_K: compute.Q6_K,
	gguf.IQ4_NL: compute.IQ4_NL, gguf.IQ4_XS: compute.IQ4_XS, gguf.TQ1_0: compute.TQ1_0, gguf.TQ2_0: compute.TQ2_0,
	gguf.MXFP4: compute.MXFP4,
}

// ggufNumbers are the types of plain numbers that no matrix is kept in: each
// becomes the nearest float32.
var ggufNumbers = map[gguf.TensorType]func([]byte) float32{
	gguf.F64: f64,
	gguf.I8:  func(b []byte) float32 { return float32(int8(b[0])) },
	gguf.I16: func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) },
	gguf.I32: func(b []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(b))) },
	gguf.I64: func(b []byte) float32 { return float32(int64(binary.LittleEndian.Uint64(b))) },
}

func f64(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }

// ggufFormat is the format that a tensor gets in memory.
func ggufFormat(t gguf.TensorInfo) (compute.Format, error) {
	if format, ok := ggufFormats[t.Type]; ok {
		return format, nil
	}
	if _, ok := ggufNumbers[t.Type]; ok {
		return compute.F32, nil
	}
	return 0, fmt.Errorf("tensor %s has type %s, which is not supported", t.Name, t.Type)
}

// numbersAsF32 converts numbers of so many bytes.
func numbersAsF32(data []byte, size int, value func([]byte) float32) []byte {
	out := make([]byte, 4*(len(data)/size))
	for i := range len(data) / size {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(value(data[size*i:])))
	}
	return out
}

// freed gives back the memory of a mapped file once matrices of some size were
// copied from it, so that a model is not in memory twice.
type freed struct {
	mapped interface{ Release() }
	bytes  int // copied since
}

// freedBytes is how much is copied before the file's memory is given back.
const freedBytes = 64 << 20

func (r *freed) copied(bytes int) {
	if r.bytes += bytes; r.bytes >= freedBytes {
		r.mapped.Release()
		r.bytes = 0
	}
}
