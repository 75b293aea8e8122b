package distill

import (
	"math"
	"testing"
)

func TestRoots(t *testing.T) {
	for _, c := range []struct {
		logProb float64
		want    uint16
	}{
		{0, 65535}, {1e-3, 65535}, {-1e-9, 65535}, {math.Log(0.5), 60096}, {-88, 1}, {-89, 1}, {-1e6, 1},
		{8 * math.Log(0.5), 32768}, {8 * math.Log(1000.0/65535), 1000},
	} {
		if got := rootOf(c.logProb); got != c.want {
			t.Errorf("%v: %d, want %d", c.logProb, got, c.want)
		}
	}
	logs := rootLogs()
	if !math.IsInf(float64(logs[0]), -1) || logs[65535] != 0 {
		t.Errorf("the logs of 0 and 1 are %v and %v", logs[0], logs[65535])
	}
	for x := 1; x <= rootOne; x++ { // to and fro
		if got := rootOf(float64(logs[x])); int(got) != x {
			t.Fatalf("%d comes back as %d", x, got)
		}
	}
}

// A place has many ids, or two batches have their own: buffers begin where arrow
// puts them, padded to 8 bytes.
func TestTopPlacesOf(t *testing.T) {
	for _, c := range []struct {
		rows, values int64
		idBytes      int
		want         topPlaces
	}{
		{1, 0, 2, topPlaces{0, 8, 8, 16, 16, 24}},
		{1, 1, 2, topPlaces{0, 8, 16, 24, 32, 40}},
		{2, 5, 4, topPlaces{0, 16, 40, 56, 72, 80}},
		{4096, 4096 * 64, 2, topPlaces{0, 16392, 16392 + 524288, 32784 + 524288, 32784 + 2*524288, 32784 + 2*524288 + 8192}},
	} {
		if got := topPlacesOf(c.rows, c.values, c.idBytes); got != c.want {
			t.Errorf("%d rows, %d values: %v, want %v", c.rows, c.values, got, c.want)
		}
	}
}

func TestTopIDBytes(t *testing.T) {
	for v, want := range map[int]int{0: 4, 1: 2, 65536: 2, 65537: 4} {
		if got := topIDBytes(v); got != want {
			t.Errorf("a vocabulary of %d: %d bytes, want %d", v, got, want)
		}
	}
}

func TestCheckerSeesIDsAgain(t *testing.T) {
	c := topChecker{k: 2}
	if err := c.checkIDs([]int32{3}); err != nil {
		t.Fatal(err)
	}
	c.now = math.MaxUint32
	for range 4 { // the count of places goes around
		if err := c.checkIDs([]int32{3, 1}); err != nil {
			t.Fatal(err)
		}
		if err := c.checkIDs([]int32{3, 3}); err == nil {
			t.Fatal("twice: no error")
		}
	}
	if err := c.checkIDs([]int32{maxTopK}); err == nil {
		t.Error("an id above every vocabulary: no error")
	}
}
