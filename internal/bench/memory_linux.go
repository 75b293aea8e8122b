package bench

import (
	"bytes"
	"os"
	"strconv"
)

// peakBytes returns the most resident memory that the process has had, or 0 if
// that cannot be told. The maximum of getrusage(2) would be that of a parent
// process, if it was larger.
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
