package cpu

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages. A system without them says no, and nothing is lost.
func adviseHuge(memory []byte) {
	if len(memory) > 0 {
		_ = unix.Madvise(memory, unix.MADV_HUGEPAGE)
	}
}
