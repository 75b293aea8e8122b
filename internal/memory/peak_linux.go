package memory

import (
	"bytes"
	"os"
	"strconv"
)

// Peak returns the most resident memory that the process has had, or 0 if
// that cannot be told. The maximum of getrusage(2) would be that of a parent
// process, if it was larger.
func Peak() int64 {
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

// ResetPeak makes Peak count from now (proc(5), clear_refs). It returns false
// where the system does not allow that: then a peak may be an earlier one.
func ResetPeak() bool {
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
}
