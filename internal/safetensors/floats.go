package safetensors

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// FloatBytes returns the elements of an F32 tensor to write: the memory of
// values itself where the host is little-endian, so that writing a model takes
// no memory of its size, and a copy elsewhere.
func FloatBytes(values []float32) []byte {
	if len(values) == 0 {
		return nil
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
	}
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}
