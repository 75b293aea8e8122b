// Package atomicfile writes files and directories so that a reader sees the
// old content or the new content, never half of it, whatever kills the writer.
//
// A file is written beside its destination under a name that starts with
// TempPrefix, synced, renamed over the destination, and then the directory is
// synced. A directory that was filled elsewhere on the same file system is
// published by RenameDir in the same way. Everything that the project writes
// goes through here.
//
// Because a published file is only ever replaced, never rewritten in place,
// it can safely be mapped into memory: Map does so, for the readers of large
// files.
//
// A File and a Mapping belong to one goroutine, except that the bytes of a
// Mapping may be read by any number at once.
package atomicfile
