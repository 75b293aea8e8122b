// Package safetensors reads and writes the safetensors format of Hugging Face
// (the "Format" section of the README of huggingface/safetensors), one file or
// a checkpoint cut into shards with an index.
//
// A file is the header's length (8 bytes, little-endian), the header (JSON:
// per tensor its dtype, shape and byte range; under "__metadata__" strings by
// strings), and the tensors' bytes without holes or overlaps. Elements are
// little-endian and row-major: shape (D,E) is D rows of E elements.
//
// Foreign files are not trusted: Open checks the whole header against the
// file's size before it keeps anything, and afterwards every tensor's byte
// count equals what its dtype and shape say. Tensor bytes are views of the
// mapped file. The views may start at any address, since the format aligns
// nothing; decode them with encoding/binary rather than by conversion.
//
// Files and Models may be read by many goroutines at once. Close must not run
// beside a reader.
package safetensors
