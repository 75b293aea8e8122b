package eval

import (
	"fmt"
	"strconv"
)

// leastP is the least p-value that tables and sentences write out: smaller ones
// say no more about the models, only about how many items there were.
const leastP = 1e-4

// pValue writes a probability with two digits that count.
func pValue(p float64) string {
	if p < leastP {
		return "<0.0001"
	}
	return strconv.FormatFloat(p, 'g', 2, 64)
}

// grouped writes a whole number with spaces between groups of three digits.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for at := len(digits) - 3; at > start; at -= 3 {
		digits = digits[:at] + " " + digits[at:]
	}
	return digits
}

// byteSize writes a size in decimal units, as disks and downloads are sold.
func byteSize(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

func orEmpty(n int64, write func(int64) string) string {
	if n == 0 {
		return ""
	}
	return write(n)
}
