// Package quantize writes models in fewer bits, and says what was lost.
//
// In comes a model.Model with plain weights, F32, F16 or BF16; out comes a GGUF
// file that llama.cpp loads, in the block formats of ggml, and a Summary: every
// tensor's format, size, and distance from the source. Encode makes the same
// bytes as llama.cpp's reference quantizers do.
//
// Frozen stores a model's linear layers in fewer bits in memory instead, for
// training low-rank updates over them: in the formats of Encode, or in NF4.
//
// Nothing is converted silently: a tensor that cannot have the format that was
// asked for gets another one, and the Summary and the file say so. Values that
// a format cannot hold, and those that are no numbers, are errors.
package quantize
