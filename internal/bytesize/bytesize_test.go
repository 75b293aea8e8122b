package bytesize

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]Size{
		"900MB": 900e6, "1.2GB": 12e8, "1.2 gb": 12e8, "2GiB": 2 << 30, "1000000": 1e6, "512 KiB": 512 << 10, "7b": 7,
		"": 0, "MB": 0, "-1MB": 0, "1XB": 0, "1e9": 0, "0": 0, "9999999999TB": 0, "1.2.3MB": 0, "NaN": 0, "inf": 0, "1 000 MB": 0,
	} {
		var got Size
		err := got.UnmarshalText([]byte(text))
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
}

func TestString(t *testing.T) {
	for size, want := range map[Size]string{
		0: "0 B", 7: "7 B", 999: "999 B", 1000: "1 kB", 1234: "1.23 kB", 99_950: "100 kB", 123_456_789: "123 MB",
		999_499_999: "999 MB", 999_500_000: "1 GB", 1_200_000_000: "1.2 GB", 25_000_000_000: "25 GB", 5_000_000_000_000_000: "5000 TB",
	} {
		if got := size.String(); got != want {
			t.Errorf("%d bytes are %q, want %q", int64(size), got, want)
		}
	}
}

// What String writes, Parse reads.
func TestStringIsRead(t *testing.T) {
	for _, size := range []Size{7, 999, 1230, 45_600_000, 1_200_000_000} {
		if got, err := Parse(size.String()); err != nil || got != size {
			t.Errorf("%q is read as %d (%v), want %d", size, got, err, size)
		}
	}
}
