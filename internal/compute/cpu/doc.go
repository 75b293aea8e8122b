// Package cpu is the Device that runs on the processor: every primitive of
// package compute in Go, split over goroutines.
//
// Matrix products, attention included, are cut into panels of 32 columns of the
// right-hand matrix, which are packed (and dequantized) once per worker and
// multiplied against the rows of the left-hand one in place. One kernel does
// that: panel. Where a loop is faster than its plain meaning, the meaning
// stands beside it in a file *_ref.go, in float64, and a test ties the two.
//
// Products for generating, MatVec, have few rows and take as long as it takes to
// read the weights. Float weights are read where they lie: dots. Quantized ones
// are kept a second time in an order that suits products of bytes, which takes
// about as much memory again: interleaved and blocks.
//
// Work is split by what is written, never by the length of a sum, so results
// are the same bytes at any number of threads.
package cpu
