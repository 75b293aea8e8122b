// Package gguf reads and writes GGUF files, the container of llama.cpp: typed
// metadata and tensors in ggml's storage formats. It follows docs/gguf.md of
// ggml-org/ggml; versions 2 and 3, little-endian, are read and version 3 is
// written. What keys and tensors mean to a model is not known here.
//
// Dims are in ggml's order, fastest first: a matrix of D rows of E elements,
// (D,E) elsewhere, has Dims {E, D}. The bytes are the same, row after row.
//
// Foreign files are not trusted: every count and length is compared with the
// bytes that are left before anything is allocated, and every tensor's range
// lies inside the file and outside all others. Tensor bytes are views of the
// mapped file, at addresses that are multiples of the file's alignment.
//
// A File may be read by many goroutines at once. Close must not run beside a
// reader.
package gguf
