package cpu

import "time"

// PeakFLOPS measures how many float32 operations a second all threads of the
// device do together when nothing but registers is touched, over about that
// time: what matrix products are compared with. A multiplication and an
// addition are two operations.
func (d *Device) PeakFLOPS(during time.Duration) float64 {
	const rounds = 100_000
	counts := make([]int, len(d.workers))
	start := time.Now()
	d.parallel(len(counts), func(_ *worker, i int) {
		for counts[i] == 0 || time.Since(start) < during { // once at least, however late it begins
			counts[i] += d.kernels.peak(rounds)
		}
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(start).Seconds()
}

// peakGo does n rounds of eight multiplications and additions, as many sums as
// the portable matrix kernel has, and returns the number of operations.
func peakGo(n int) int {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	x, y := float32(0.5), float32(n)
	for range n {
		s0 = s0*x + y
		s1 = s1*x + y
		s2 = s2*x + y
		s3 = s3*x + y
		s4 = s4*x + y
		s5 = s5*x + y
		s6 = s6*x + y
		s7 = s7*x + y
	}
	if s0+s1+s2+s3+s4+s5+s6+s7 < 0 { // never: it makes the sums needed
		return 0
	}
	return n * 8 * 2
}
