package cpu

import (
	"testing"
	"unsafe"
)

// Pieces are zero, begin at a multiple of 64 bytes, and do not overlap.
func TestSlabPieces(t *testing.T) {
	var s slab
	var all [][]byte
	for i, n := range []int{0, 1, 63, 64, 65, 1 << 20, slabBytes / 2, slabBytes/2 + 1, slabBytes/2 - 7, 3*slabBytes/8 + 5, slabBytes + 3, 100} {
		piece := s.bytes(n)
		if len(piece) != n || cap(piece) != n {
			t.Fatalf("%d bytes: %d of %d", n, len(piece), cap(piece))
		}
		if n > 0 && uintptr(unsafe.Pointer(&piece[0]))%64 != 0 {
			t.Errorf("%d bytes begin at %p", n, &piece[0])
		}
		for j, v := range piece {
			if v != 0 {
				t.Fatalf("%d bytes: byte %d is %d", n, j, v)
			}
			piece[j] = byte(i + 1)
		}
		all = append(all, piece)
	}
	for i, piece := range all {
		for j, v := range piece {
			if v != byte(i+1) {
				t.Fatalf("piece %d: byte %d became %d", i, j, v)
			}
		}
	}
}
