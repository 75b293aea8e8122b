package atomicfile

import "golang.org/x/sys/unix"

// releasePages drops the pages of a read-only mapping from memory. It is a
// hint: an error means only that they stay.
func releasePages(data []byte) { _ = unix.Madvise(data, unix.MADV_DONTNEED) }
