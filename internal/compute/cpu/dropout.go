package cpu

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// Dropout sets y (N,C) to x with each element kept with probability 1−p and
// then divided by 1−p. Element i·C+j is kept by 16 bits of a hash of key and
// its index: four neighbours share one hash.
func (d *Device) Dropout(y, x compute.Mat, p float32, key uint64) {
	vy, vx := viewOf("Dropout y", y), viewOf("Dropout x", x)
	sameShape("Dropout", vy, vx)
	if !(p >= 0 && p < 1) {
		panic(fmt.Sprintf("cpu: Dropout with a probability of %v", p))
	}
	drop := int32(min(math.Round(float64(p)*65536), 65535))
	start := mix(key) // keys that differ by little, or by a step, begin far apart
	factor := 1 / (1 - p)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d.kernels.dropRow(vy.row(i), vx.row(i), uint64(i)*uint64(vy.cols), start, drop, factor)
		}
	})
}

// dropRow does one row, whose first element has the index first.
func (k kernels) dropRow(y, x []float32, first, start uint64, drop int32, factor float32) {
	j := 0
	for ; j < len(y) && (first+uint64(j))%4 != 0; j++ {
		y[j] = keep(x[j], first+uint64(j), start, drop, factor)
	}
	k.dropout(y[j:], x[j:], start+((first+uint64(j))/4+1)*splitMixStep, drop, factor)
}

// dropoutGo is the portable dropout kernel.
func dropoutGo(y, x []float32, state uint64, drop int32, factor float32) {
	j := 0
	for ; j+4 <= len(y); j += 4 {
		bits := mix(state)
		state += splitMixStep
		to, from := (*[4]float32)(y[j:]), (*[4]float32)(x[j:])
		to[0] = masked(from[0]*factor, int32(bits&0xffff)-drop)
		to[1] = masked(from[1]*factor, int32(bits>>16&0xffff)-drop)
		to[2] = masked(from[2]*factor, int32(bits>>32&0xffff)-drop)
		to[3] = masked(from[3]*factor, int32(bits>>48)-drop)
	}
	for bits := mix(state); j < len(y); j++ {
		y[j] = masked(x[j]*factor, int32(bits&0xffff)-drop)
		bits >>= 16
	}
}

// keep returns one element, which has that index: x times factor, or 0.
func keep(x float32, index, start uint64, drop int32, factor float32) float32 {
	bits := draw(start, index/4) >> (16 * (index % 4)) & 0xffff
	return masked(x*factor, int32(bits)-drop)
}

// masked returns x, or 0 when sign is negative, without a branch that no
// processor could foresee; also when x is infinite or a NaN.
func masked(x float32, sign int32) float32 {
	return math.Float32frombits(math.Float32bits(x) &^ uint32(sign>>31))
}

// draw is SplitMix64 (Steele, Lea, Flood 2014): its n-th output after start.
func draw(start, n uint64) uint64 { return mix(start + (n+1)*splitMixStep) }

// splitMixStep is how far apart the states of SplitMix64 are.
const splitMixStep = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
