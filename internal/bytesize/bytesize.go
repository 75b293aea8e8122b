// Package bytesize reads and writes amounts of memory.
package bytesize

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. As text it is what Parse reads.
type Size int64

// Parse reads a size such as 900MB, 1.2 GB, 2GiB or 1000000: units of
// thousands with B, of 1024 with iB, in upper or lower case.
func Parse(text string) (Size, error) {
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
	return Size(bytes), nil
}

// UnmarshalText is Parse.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = Parse(string(text))
	return err
}

// String gives the size in three digits, as 950 MB or 1.2 GB.
func (s Size) String() string {
	value, unit := float64(s), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if math.Abs(value) < 999.5 {
			break
		}
		value, unit = value/1000, larger
	}
	if unit == "B" || math.Abs(value) >= 99.95 {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return strconv.FormatFloat(value, 'g', 3, 64) + " " + unit
}
