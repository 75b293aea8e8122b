// Package memory says how much memory the machine has for this process, and
// how much the process has had.
package memory

// Limit returns how many bytes the whole process may have before the machine,
// or the control group that it runs in, is short of memory: what it has and
// what is free, less a twentieth for what others will want meanwhile. It is 0
// where that cannot be told, on systems other than Linux.
func Limit() int64 {
	n := limit()
	return n - n/20
}
