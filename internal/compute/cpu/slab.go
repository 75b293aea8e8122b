package cpu

import "unsafe"

const (
	slabBytes = 16 << 20
	hugePage  = 2 << 20
)

// slab is memory in huge pages, where the system has them, of which nothing has
// been given away yet: for weights that are read from end to end for every
// token, which takes a tenth longer in pages of the usual size. Memory is
// freed when nobody has a piece of its slab.
type slab struct{ rest []byte }

// bytes returns n zeros that begin at a multiple of 64 bytes.
func (s *slab) bytes(n int) []byte {
	if n > slabBytes/2 {
		return hugeBytes(n)
	}
	if len(s.rest) < n {
		s.rest = hugeBytes(slabBytes)
	}
	piece := s.rest[:n:n]
	s.rest = s.rest[min(len(s.rest), (n+63)&^63):]
	return piece
}

// hugeBytes returns n zeros that begin where a huge page does. What is no whole
// page at their end stays in the usual ones, so that no memory is taken in vain.
func hugeBytes(n int) []byte {
	memory := make([]byte, n+hugePage)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(memory))) % hugePage
	memory = memory[skip : int(skip)+n : int(skip)+n]
	adviseHuge(memory[:n/hugePage*hugePage])
	return memory
}
