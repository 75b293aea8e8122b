//go:build !purego

package cpu

// available returns every set of kernels that this processor can run.
func available() []kernels {
	sets := []kernels{portable()}
	if hasAVX2() {
		sets = append(sets, withAVX2())
	}
	if hasAVX512() {
		sets = append(sets, withAVX512())
	}
	return sets
}
