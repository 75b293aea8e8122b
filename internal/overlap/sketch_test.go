package overlap

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// The mean of many estimates is the similarity, and their spread that of k
// independent draws or less.
func TestEstimateIsUnbiased(t *testing.T) {
	const k, trials = 128, 400
	r := rand.New(rand.NewPCG(4, 4))
	for _, c := range []struct{ both, a, b int }{{8, 1, 1}, {1, 0, 0}, {1, 1, 0}, {40, 5, 5}, {300, 100, 0}, {2000, 2000, 0}, {10, 90, 100}} {
		want := float64(c.both) / float64(c.both+c.a+c.b)
		var sum, squares float64
		for range trials {
			var a, b []uint64
			for range c.both {
				x := r.Uint64()
				a, b = append(a, x), append(b, x)
			}
			for range c.a {
				a = append(a, r.Uint64())
			}
			for range c.b {
				b = append(b, r.Uint64())
			}
			e := agreement(stored(a, k), stored(b, k))
			sum += e
			squares += (e - want) * (e - want)
		}
		spread := math.Sqrt(want * (1 - want) / k)
		if off := math.Abs(sum/trials - want); off > 4*spread/math.Sqrt(trials)+1e-9 {
			t.Errorf("%+v: mean %.4f, want %.4f", c, sum/trials, want)
		}
		if got := math.Sqrt(squares / trials); got > 1.15*spread+1e-9 {
			t.Errorf("%+v: spread %.4f, want at most %.4f", c, got, spread)
		}
	}
}

func stored(set []uint64, k int) []byte {
	s := make([]uint32, k)
	sketch(s, set)
	var out []byte
	for _, v := range s {
		out = binary.BigEndian.AppendUint16(out, uint16(v>>16))
	}
	return out
}

func TestBands(t *testing.T) {
	if b := chooseBands(0.8, 128); b != (bands{21, 6}) {
		t.Errorf("got %+v", b)
	}
	if b := chooseBands(1, 128); b != (bands{1, 128}) {
		t.Errorf("got %+v", b)
	}
}
