package overlap

import "math/bits"

// sketch fills s with values such that two sketches agree at a place with a
// probability equal to the Jaccard similarity of their sets (and 2^-32). Each
// round throws every element into one random bin; a bin keeps the least value
// of the first round that reached it. Bins that no round reached after len(s)
// rounds take, one round a bin, the least of all. Expected work is of the order
// of len(set) + len(s) log len(s) whatever the set; the set must not be empty.
func sketch(s []uint32, set []uint64) {
	k := uint64(len(s))
	filled := make([]bool, k)
	least := make([]uint64, k)
	empty := len(s)
	for round := uint64(0); round < 2*k && empty > 0; round++ {
		if round >= k && filled[round-k] {
			continue
		}
		for i := range least {
			least[i] = ^uint64(0)
		}
		for _, x := range set {
			h := mix(x + round*0x9e3779b97f4a7c15)
			bin, v := bits.Mul64(h, k) // v: where in the bin, uniform
			if round >= k {
				bin, v = round-k, h
			}
			if !filled[bin] {
				least[bin] = min(least[bin], v)
			}
		}
		for i, v := range least {
			if !filled[i] && v != ^uint64(0) {
				s[i], filled[i] = uint32(mix(v+round)), true
				empty--
			}
		}
	}
}

// mix is the finalizer of splitmix64: a bijection that spreads every bit.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// agreement is the share of equal 16-bit values of two stored sketches.
func agreement(a, b []byte) float64 {
	n := 0
	for i := 0; i+1 < len(a); i += 2 {
		if a[i] == b[i] && a[i+1] == b[i+1] {
			n++
		}
	}
	return float64(n) / float64(len(a)/2)
}
