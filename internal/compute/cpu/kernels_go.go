//go:build !amd64 || purego

package cpu

import "sync/atomic"

// fastest returns the best kernels for this processor.
func fastest() kernels { return portable() }

// pause rests a little, in a loop that waits for another thread.
func pause() {
	var n atomic.Int32 // the compiler keeps atomic operations
	for range 8 {
		n.Add(1)
	}
}
