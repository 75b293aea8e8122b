// Package autodiff records a model's computation as a gorgonia graph of fused
// operations, differentiates it and runs it. It is the only package that
// imports gorgonia.
//
// In: arrays and weights of package compute, and the Inputs of each run. Out:
// the summed loss, and gradients added to every Param's Grad.
//
// Gorgonia keeps the graph, differentiates it symbolically and orders its
// execution. Each operation is of type operation, with a forward function and
// a hand-written gradient that call the device. Two habits make that fast and
// safe:
//
//   - The graph plans its memory before the first run: each result has an array
//     from when it is computed to its last reader, the same in every run. What a
//     gradient reads is kept, or computed again just before (see plan.go).
//   - The parameters of an operation enter the graph as one scalar, its handle.
//     The operation's gradient adds to Param.Grad itself, so a weight that two
//     operations share (a tied head) needs no sum in the graph, and several
//     runs accumulate.
//
// Gorgonia merges nodes whose operation hash and inputs are equal; every
// operation here hashes a number of its own, so none is ever merged.
package autodiff
