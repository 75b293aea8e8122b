// Package model holds decoder-only language models of the Llama family:
// configuration, weights, low-rank adapters, and decoding. It reads and writes
// Hugging Face directories, PEFT adapter directories, and reads GGUF files.
//
// An architecture is written once (hidden in llama.go) against the interface
// ops. Two things execute it: autodiff.Graph records it for training, and the
// Decoder runs it at once over key/value caches.
package model
