//go:build !unix

package memory

// Peak returns 0: it cannot be told here.
func Peak() int64 { return 0 }

// ResetPeak returns false: Peak counts from the beginning of the process.
func ResetPeak() bool { return false }
