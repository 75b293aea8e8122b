//go:build !amd64 || purego

package cpu

// available returns every set of kernels that this processor can run.
func available() []kernels { return []kernels{portable()} }
