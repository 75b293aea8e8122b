package bench

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
)

// deviation is about the standard deviation of random weights, what models are
// initialized with.
const deviation = 0.02

// root3 deviations is what a uniform number is at most.
const root3 = 1.7320508

// format is how random weights of a storage format are made.
type format struct {
	name  string // as GGUF tools have it
	block int    // rows are whole numbers of so many values
	make  maker
}

// maker makes a matrix (out,in) of random weights, straight in the format.
type maker func(f compute.Format, out, in int, rng *rand.Rand) (*compute.Weight, error)

// formats are all that a matrix may be asked in.
//
// Scales stand in blocks of random bytes, of a size that makes the values
// deviate as they should: signed bytes deviate by 74, 4 bits by 4.6, 5 bits by
// 9.2. Bits less half their range have a mean of -0.5, which scales of either
// sign make 0.
var formats = []format{
	{"F32", 1, fill(float32s)},
	{"F16", 1, fill(halves(compute.F32ToF16))},
	{"BF16", 1, fill(halves(compute.F32ToBF16))},
	{"Q8_0", 32, fill(blocks(34, scale{0, 1.0 / 74, false}))},
	{"Q4_0", 32, fill(blocks(18, scale{0, 1 / 4.6, true}))},
	{"Q5_0", 32, fill(blocks(22, scale{0, 1 / 9.2, true}))},
	// d·s·q − dmin·m with s and m of 6 bits, q of 4: dmin = 7.5·d makes the mean 0.
	{"Q4_K", 256, fill(blocks(144, scale{0, 1.0 / 258, false}, scale{2, 7.5 / 258, false}))},
	// d·s·(q−32) with s a signed byte, q of 6 bits.
	{"Q6_K", 256, fill(blocks(210, scale{208, 1.0 / 1366, false}))},
	{"NF4", 32, nf4},
}

// Formats returns the names of all formats, in lower case.
func Formats() []string {
	var names []string
	for _, f := range formats {
		names = append(names, strings.ToLower(f.name))
	}
	return names
}

// formatOf returns the format of a name that is known, in upper or lower case.
func formatOf(name string) (f format, known bool) {
	for _, f := range formats {
		if strings.EqualFold(f.name, name) {
			return f, true
		}
	}
	return format{}, false
}

// weight makes a random matrix (out,in).
func (f format) weight(out, in int, rng *rand.Rand) (*compute.Weight, error) {
	stored, err := compute.ParseFormat(f.name)
	if err != nil {
		return nil, err
	}
	return f.make(stored, out, in, rng)
}

// fill is the maker of a format whose values lie in one piece: rework turns
// random bytes into weights.
func fill(rework func(data []byte, rng *rand.Rand)) maker {
	return func(f compute.Format, out, in int, rng *rand.Rand) (*compute.Weight, error) {
		data := make([]byte, out*f.RowBytes(in))
		randomBytes(data, rng)
		rework(data, rng)
		return compute.NewWeight(f, out, in, data)
	}
}

func randomBytes(data []byte, rng *rand.Rand) {
	for ; len(data) >= 8; data = data[8:] {
		binary.LittleEndian.PutUint64(data, rng.Uint64())
	}
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
}

// float32s makes every four bytes a float32, uniform around 0.
func float32s(data []byte, _ *rand.Rand) {
	const most = deviation * root3 / (1 << 31)
	for ; len(data) >= 4; data = data[4:] {
		x := float32(int32(binary.LittleEndian.Uint32(data))) * most
		binary.LittleEndian.PutUint32(data, math.Float32bits(x))
	}
}

// halves makes every two bytes a number of 16 bits, uniform around 0.
func halves(encode func(float32) uint16) func(data []byte, rng *rand.Rand) {
	return func(data []byte, _ *rand.Rand) {
		const most = deviation * root3 / (1 << 15)
		for ; len(data) >= 2; data = data[2:] {
			x := float32(int16(binary.LittleEndian.Uint16(data))) * most
			binary.LittleEndian.PutUint16(data, encode(x))
		}
	}
}

// scale is a 16-bit float in a block, at a byte's place: of a size, in
// deviations, and of either sign or positive.
type scale struct {
	at     int
	size   float64
	either bool
}

// blocks writes the scales into every block of size bytes.
func blocks(size int, scales ...scale) func(data []byte, rng *rand.Rand) {
	return func(data []byte, rng *rand.Rand) {
		for ; len(data) >= size; data = data[size:] {
			bits := rng.Uint64()
			for _, s := range scales {
				// From three to five quarters of the size, as blocks differ.
				x := float32(s.size * deviation * (0.75 + float64(bits&0xff)/512))
				if bits >>= 8; s.either && bits&1 == 1 {
					x = -x
				}
				binary.LittleEndian.PutUint16(data[s.at:], compute.F32ToF16(x))
				bits >>= 8
			}
		}
	}
}
