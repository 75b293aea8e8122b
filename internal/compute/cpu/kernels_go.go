//go:build !amd64 || purego

package cpu

// fastest returns the best kernels for this processor.
func fastest() kernels { return portable() }
