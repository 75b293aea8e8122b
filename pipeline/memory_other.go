//go:build !linux

package pipeline

// resetPeak returns false: only Linux can count the peak of one stage.
func resetPeak() bool { return false }

func peakBytes() int64 { return 0 }
