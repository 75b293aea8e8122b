//go:build !linux

package atomicfile

// releasePages does nothing: the system drops pages when it is short of memory.
func releasePages([]byte) {}
