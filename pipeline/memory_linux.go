package pipeline

import (
	"bytes"
	"os"
	"strconv"
)

// resetPeak makes peakBytes count from now (proc(5), clear_refs). It returns
// false where the kernel does not allow that; then a peak would be one of an
// earlier stage.
func resetPeak() bool {
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
}

// peakBytes returns the most resident memory the process has had, or 0 if
// that cannot be told.
func peakBytes() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("\nVmHWM:"))
	number, _, found := bytes.Cut(bytes.TrimSpace(rest), []byte(" kB"))
	kib, err := strconv.ParseInt(string(number), 10, 64)
	if !found || err != nil {
		return 0
	}
	return kib << 10
}
