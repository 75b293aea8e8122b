package bench

import (
	"math/rand/v2"

	"github.com/retort-ml/retort/internal/compute"
)

// nf4 makes random codes and scales. The tables are evenly spaced, which takes
// as long to read as bitsandbytes' own do.
func nf4(_ compute.Format, out, in int, rng *rand.Rand) (*compute.Weight, error) {
	scales := (out*in + 63) / 64
	d := compute.NF4Data{Codes: make([]byte, out*in/2), QuantMap: make([]float32, 16), Absmax: make([]byte, scales),
		NestedMap: make([]float32, 256), NestedAbsmax: make([]float32, (scales+255)/256), NestedOffset: 1.626 * deviation}
	randomBytes(d.Codes, rng)
	randomBytes(d.Absmax, rng)
	for i := range d.QuantMap {
		d.QuantMap[i] = float32(i)/7.5 - 1 // deviates by 0.615
	}
	for i := range d.NestedMap {
		d.NestedMap[i] = float32(i)/127.5 - 1
	}
	for i := range d.NestedAbsmax {
		d.NestedAbsmax[i] = deviation / 4
	}
	return compute.NewNF4Weight(out, in, d)
}
