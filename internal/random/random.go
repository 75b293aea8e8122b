// Package random gives every random choice of a run a stream of its own, named
// by its purpose: same seed and purpose, same numbers, whatever else is drawn.
package random

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Key is a 64-bit number that follows from seed and purpose.
func Key(seed uint64, purpose string) uint64 {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	h := sha256.Sum256(append(b, purpose...))
	return binary.LittleEndian.Uint64(h[:8])
}

// Stream returns the generator for one purpose. It is not safe for use by
// several goroutines at once.
func Stream(seed uint64, purpose string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, Key(seed, purpose)))
}
