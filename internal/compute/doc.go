// Package compute says what a device can do for the engine: a Device has the
// primitives that the fused operations of training and decoding call, a Mat is
// a view of float32 rows on a device, and a Weight is a matrix in any storage
// format. What a primitive means is written here; how it is done is the
// device's affair (package cpu).
//
// Shape letters, used in comments everywhere:
//
//	B  sequences of a batch           T  tokens of a sequence
//	N  rows, B·T                      D  width of the residual stream
//	V  vocabulary                     R  rank of a low-rank update
//	H  query heads                    G  key/value heads (H is a multiple of G)
//	E  width of one head              F  width of the gated MLP
//
// Arrays are row-major. Only a device reaches into their memory: everything
// else passes Mats and reads results through Device.Host.
package compute
