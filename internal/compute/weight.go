package compute

import (
	"encoding/binary"
	"fmt"
	"sync"
	"unsafe"

	"gorgonia.org/tensor"
)

// Weight is an Out × In matrix in some storage format; its meaning is "rows,
// dequantized to float32". A frozen Weight holds bytes that nobody changes (it
// may be a view of a mapped file). An F32 Weight may instead share an array
// with the optimizer, and then follows every update. A Weight may be read from
// many goroutines at once, a shared one while nobody writes its array.
type Weight struct {
	Format  Format
	Out, In int
	data    []byte        // Out rows, each RowBytes(In) long; nil for a shared array
	nf4     *NF4Data      // of an NF4 weight, whose Codes data is
	table4  *Table4Data   // of a TABLE4 weight, whose Codes data is
	array   *tensor.Dense // (Out,In); nil for a frozen weight
	exact   bool          // see KeepExact

	once   sync.Once // guards floats
	floats []float32 // of a frozen F32 weight, from its first use on

	derived  sync.Map   // by key; see Derived
	building sync.Mutex // held while one of them is built
}

// NewWeight returns a frozen Weight of out rows of in values over data, which
// it keeps and which must not change. The length of data must fit exactly; in
// must be a whole number of the format's blocks. NF4 has NewNF4Weight,
// TABLE4 NewTable4Weight.
func NewWeight(f Format, out, in int, data []byte) (*Weight, error) {
	if f >= formats {
		return nil, fmt.Errorf("weight (%d, %d): unknown format %s", out, in, f)
	}
	if f == NF4 || f == TABLE4 {
		return nil, fmt.Errorf("weight %s (%d, %d): its values need scales beside them", f, out, in)
	}
	return newWeight(f, out, in, data)
}

func newWeight(f Format, out, in int, data []byte) (*Weight, error) {
	if out < 1 || in < 1 {
		return nil, fmt.Errorf("weight %s (%d, %d): both sizes must be at least 1", f, out, in)
	}
	if in%f.BlockValues() != 0 {
		return nil, fmt.Errorf("weight %s (%d, %d): rows of %d values are not whole blocks of %d", f, out, in, in, f.BlockValues())
	}
	// The sizes may come from a damaged file: no product here can overflow.
	blocks := in / f.BlockValues()
	if blocks > len(data)/f.blockBytes() {
		return nil, fmt.Errorf("weight %s (%d, %d): %d bytes do not hold one row", f, out, in, len(data))
	}
	rowBytes := f.RowBytes(in)
	if len(data)%rowBytes != 0 || len(data)/rowBytes != out {
		return nil, fmt.Errorf("weight %s (%d, %d): %d bytes, want %d rows of %d bytes", f, out, in, len(data), out, rowBytes)
	}
	return &Weight{Format: f, Out: out, In: in, data: data}, nil
}

// SharedF32 returns a Weight whose values are those of array (Out,In), now and
// after every change. It panics unless the array is a float32 matrix stored
// row by row, a broken promise of the calling code.
func SharedF32(array *tensor.Dense) *Weight {
	shape := array.Shape()
	if len(shape) != 2 || array.Dtype() != tensor.Float32 || array.RequiresIterator() || array.DataOrder().IsColMajor() {
		panic(fmt.Sprintf("compute: SharedF32 of %s %s, want a row-major float32 matrix", array.Dtype(), shape))
	}
	return &Weight{Format: F32, Out: shape[0], In: shape[1], array: array}
}

// KeepExact marks w, before its first use, as one whose products are computed
// in float32: Integers is then false. It is for values that came from a format
// whose reference computes with them as numbers, and merely fit ggml's blocks.
func (w *Weight) KeepExact() { w.exact = true }

// Integers tells whether Device.MatVec may round the other factor of products
// with w to 8 bits, as ggml does for the format.
func (w *Weight) Integers() bool {
	switch w.Format {
	case Q8_0, Q4_0, Q5_0, Q4_K, Q6_K:
		return !w.exact
	default:
		return false
	}
}

// Data returns the stored bytes of a frozen weight, which must not be changed,
// and nil for one that shares an array. Those of an NF4 weight are its Codes.
func (w *Weight) Data() []byte { return w.data }

// Array returns the array (Out,In) that w shares, and nil for a frozen weight.
func (w *Weight) Array() *tensor.Dense { return w.array }

// NF4 returns the parts of an NF4 weight, which must not be changed, and nil
// for other formats.
func (w *Weight) NF4() *NF4Data { return w.nf4 }

// Bytes returns how much memory or file the values take.
func (w *Weight) Bytes() int {
	switch {
	case w.array != nil:
		return 4 * w.Out * w.In
	case w.nf4 != nil:
		return w.nf4.bytes()
	case w.table4 != nil:
		return len(w.data) + 4*len(w.table4.Scales)
	default:
		return len(w.data)
	}
}

// Floats returns the values (Out·In) of an F32 weight, row by row: the shared
// array's memory, or the stored bytes themselves where the host can read them
// as float32 and a copy, made once, where it cannot. The values of a frozen
// weight must not be changed. It panics for other formats.
func (w *Weight) Floats() []float32 {
	if w.Format != F32 {
		panic(fmt.Sprintf("compute: Floats of a %s weight", w.Format))
	}
	if w.array != nil {
		return w.array.Float32s()
	}
	w.once.Do(func() { w.floats = asFloats(w.data) })
	return w.floats
}

// Row sets dst (In) to row i, dequantized. This is what each format means;
// faster code must agree with it. It panics when the row or dst does not fit.
func (w *Weight) Row(dst []float32, i int) {
	if len(dst) != w.In {
		panic(fmt.Sprintf("compute: row %d of a (%d, %d) weight into %d values", i, w.Out, w.In, len(dst)))
	}
	w.Part(dst, i, 0)
}

// Part sets dst to the values of row i that begin at from, dequantized. Both
// from and the length of dst must be multiples of 32 if the format is
// quantized. It panics when they are not, or when the part is outside the matrix.
func (w *Weight) Part(dst []float32, i, from int) {
	group := min(groupValues, w.Format.BlockValues())
	if i < 0 || i >= w.Out || from < 0 || from > w.In || len(dst) > w.In-from || from%group != 0 || len(dst)%group != 0 {
		panic(fmt.Sprintf("compute: %d values from %d of row %d of a (%d, %d) %s weight", len(dst), from, i, w.Out, w.In, w.Format))
	}
	switch {
	case w.Format == F32:
		copy(dst, w.Floats()[i*w.In+from:])
	case w.Format == NF4:
		w.nf4.dequantize(dst, i*w.In+from)
	case w.Format == TABLE4:
		w.table4.dequantize(dst, i*w.In+from)
	case group == 1:
		first := w.Format.RowBytes(i*w.In + from)
		Dequantize(w.Format, dst, w.data[first:first+w.Format.RowBytes(len(dst))])
	default:
		dequantizeGroups(w.Format, dst, w.data[i*w.Format.RowBytes(w.In):], from/groupValues)
	}
}

// asFloats reads little-endian float32 values, in place if possible.
func asFloats(data []byte) []float32 {
	n := len(data) / 4
	if n == 0 {
		return nil
	}
	little := binary.NativeEndian.Uint16([]byte{1, 0}) == 1
	first := unsafe.Pointer(unsafe.SliceData(data))
	if little && uintptr(first)%unsafe.Alignof(float32(0)) == 0 {
		return unsafe.Slice((*float32)(first), n)
	}
	floats := make([]float32, n)
	Dequantize(F32, floats, data)
	return floats
}
