// Package model holds decoder-only language models of the families in family.go:
// configuration, weights, low-rank adapters, and decoding. It reads and writes
// Hugging Face directories and PEFT adapter directories, and reads GGUF files and
// quantized checkpoints.
//
// An architecture is written once (hidden in llama.go) against the interface
// ops. Two things execute it: autodiff.Graph records it for training, and the
// Decoder runs it at once over key/value caches.
//
// Encoders that classify sequences are Classifiers: the families of BERT,
// written once (logits in encoder.go). Their training and evaluation run the
// same graph, so it is written for autodiff.Graph itself.
package model
