package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseBytes reads a size such as 900MB, 1.2 GB, 2GiB or 1000000: units of
// thousands with B, of 1024 with iB, in upper or lower case.
func ParseBytes(text string) (int64, error) {
	rest := strings.TrimLeft(text, "0123456789.")
	number, unit := text[:len(text)-len(rest)], strings.ToLower(strings.TrimSpace(rest))
	factor, known := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[unit]
	value, err := strconv.ParseFloat(number, 64)
	bytes := value * factor
	if !known || err != nil || !(bytes >= 1 && bytes < math.MaxInt64) {
		return 0, fmt.Errorf("size %q: want a number of bytes such as 900MB, 1.2GB or 2GiB", text)
	}
	return int64(bytes), nil
}
