//go:build unix && !linux

package memory

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Peak returns the most resident memory that the process has had, or 0 if
// that cannot be told. Apple counts bytes, all others kibibytes.
func Peak() int64 {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}

// ResetPeak returns false: Peak counts from the beginning of the process.
func ResetPeak() bool { return false }
