package memory

import (
	"runtime"
	"testing"
)

// The peak has what was touched since it was reset, and not what was before.
func TestPeak(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("peaks can be reset on Linux alone")
	}
	const size = 64 << 20
	touch := func() {
		memory := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			memory[i] = 1
		}
		runtime.KeepAlive(memory)
	}
	touch()
	before := Peak()
	if before < size {
		t.Fatalf("peak %d after touching %d bytes", before, size)
	}
	LimitGarbage(100)() // hands the memory back
	if !ResetPeak() {
		t.Skip("this kernel does not reset peaks")
	}
	after := Peak()
	if after > before-size/2 {
		t.Errorf("peak %d after the reset, %d before it", after, before)
	}
	touch()
	if got := Peak(); got < after+size/2 {
		t.Errorf("peak %d after touching %d bytes, %d before", got, size, after)
	}
}
