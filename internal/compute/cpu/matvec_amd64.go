//go:build !purego

package cpu

import (
	"unsafe"

	"github.com/retort-ml/retort/internal/compute"
)

// dotsTile multiplies rows of x by one or four rows of weights, n over 0
// values of each. The row distance of weights is in bytes, others in float32 values.
type dotsTile func(c *float32, ldc int, x *float32, ldx int, w *byte, stride, n int, alpha float32, add bool)

// dotTiles are the kernels of a storage format for one and for four rows of
// weights, by rows of x less one.
type dotTiles struct{ ones, fours []dotsTile }

// dotSet is the dots kernels of an instruction set.
type dotSet struct {
	f32, f16, bf16 dotTiles
	least          int // values that a row has at least
}

// multiply does a product.
func (s dotSet) multiply(p dots) {
	if p.k < s.least || p.m == 0 || p.n == 0 {
		dotsGo(p)
		return
	}
	// The kernels do not check: this panics where they would leave the slices.
	_ = p.c[(p.m-1)*p.ldc+p.n-1]
	_ = p.x[(p.m-1)*p.ldx+p.k-1]
	switch {
	case p.floats != nil:
		_ = p.floats[(p.n-1)*p.stride+p.k-1]
		p.stride *= 4
		s.f32.multiply(p, (*byte)(unsafe.Pointer(&p.floats[0])))
	case p.format == compute.F16:
		_ = p.data[(p.n-1)*p.stride+2*p.k-1]
		s.f16.multiply(p, &p.data[0])
	default:
		_ = p.data[(p.n-1)*p.stride+2*p.k-1]
		s.bf16.multiply(p, &p.data[0])
	}
}

// multiply goes over the rows of weights, four at a time, for each tile of
// rows of x, which then stays in the first-level cache.
func (t dotTiles) multiply(p dots, w *byte) {
	for i := 0; i < p.m; {
		rest := p.m - i
		count := (rest + len(t.ones) - 1) / len(t.ones)
		height := (rest + count - 1) / count
		j := 0
		for ; j+4 <= p.n; j += 4 {
			t.fours[height-1].at(&p, w, i, j)
		}
		for ; j < p.n; j++ {
			t.ones[height-1].at(&p, w, i, j)
		}
		i += height
	}
}

// at does the tile of row i of x and row j of weights on. It is not inlined
// because the scheduler stops goroutines where Go functions begin, and nowhere in assembly.
//
//go:noinline
func (kernel dotsTile) at(p *dots, w *byte, i, j int) {
	row := (*byte)(unsafe.Add(unsafe.Pointer(w), j*p.stride))
	kernel(&p.c[i*p.ldc+j], p.ldc, &p.x[i*p.ldx], p.ldx, row, p.stride, p.k, p.alpha, p.add)
}

// blocksTile multiplies a tile of rounded rows by n rows of weights.
type blocksTile func(c *float32, ldc int, x, w, scales, supers *byte, groupBytes, blocks, n int, alpha float32, add bool)

// blocksSet is the blocks kernels of an instruction set, by rows of x less one.
type blocksSet struct {
	q8, q4, q5, q4k, q6k []blocksTile

	lanes  int // rows of weights of a vector: a group or half of one
	groups int // up to how many groups one call does; 0 if it does one vector
}

func (s blocksSet) tiles(f blockFormat) []blocksTile {
	switch {
	case f.minimums:
		return s.q4k
	case f.split:
		return s.q6k
	case f.bits == 8:
		return s.q8
	case f.bits == 5:
		return s.q5
	default:
		return s.q4
	}
}

// maxCallBlocks bounds the length of one call in assembly, which the
// scheduler cannot interrupt: 8 rows of as many blocks take some 20 µs.
const maxCallBlocks = 1024

// multiply cuts the rows of weights into calls.
func (s blocksSet) multiply(p blockProduct) {
	if len(p.c) == 0 {
		return
	}
	_ = p.c[(p.m-1)*p.ldc+p.n-1] // the kernels do not check
	kernel := s.tiles(p.w.format)[p.m-1]
	step := s.lanes
	if s.groups > 0 {
		step *= max(1, min(s.groups, maxCallBlocks/(p.to-p.from)))
	}
	for j := 0; j < p.n; j += step {
		kernel.at(&p, j, min(step, p.n-j))
	}
}

// at does n rows of weights from j on. It is not inlined because the
// scheduler stops goroutines where Go functions begin, and nowhere in assembly.
//
//go:noinline
func (kernel blocksTile) at(p *blockProduct, j, n int) {
	f, group, lane := p.w.format, p.group+j/groupRows, j%groupRows
	w, scales, supers := p.w.group(group)
	_, _, _ = p.w.group(group + (lane+n-1)/groupRows) // the last one that is read
	_ = w[p.to*f.bytes()-1]
	x := p.x[p.from*p.m : p.to*p.m]
	super, scaleLane := (*byte)(nil), 2*lane
	if f.super() {
		super, scaleLane = &supers[p.from/superBlocks*superBytes+2*lane], lane
	}
	kernel(&p.c[j], p.ldc, (*byte)(unsafe.Pointer(&x[0])), &w[p.from*f.bytes()+4*lane], &scales[p.from*scaleBytes+scaleLane], super,
		p.w.groupBytes, p.to-p.from, n, p.alpha, p.add)
}

// roundVectors is the round kernel, in pieces of bounded time.
func roundVectors(dst []rounded, step int, x []float32, offset int32, split bool) {
	halves := 0
	if split {
		halves = -1
	}
	for len(x) > 0 {
		blocks := min(len(x), pieceValues) / blockValues
		_ = dst[(blocks-1)*step] // the kernel does not check
		roundAVX2((*byte)(unsafe.Pointer(&dst[0])), step*int(unsafe.Sizeof(dst[0])), &x[0], blocks, int(offset), halves)
		if x = x[blocks*blockValues:]; len(x) > 0 {
			dst = dst[blocks*step:]
		}
	}
}

// addVectorAVX2 sets the kernels of MatVec.
func addVectorAVX2(k *kernels) {
	set := dotSet{
		least: 8,
		f32: dotTiles{
			ones:  []dotsTile{dotsF321x1AVX2, dotsF322x1AVX2, dotsF323x1AVX2},
			fours: []dotsTile{dotsF321x4AVX2, dotsF322x4AVX2, dotsF323x4AVX2},
		},
		f16: dotTiles{
			ones:  []dotsTile{dotsF161x1AVX2, dotsF162x1AVX2, dotsF163x1AVX2},
			fours: []dotsTile{dotsF161x4AVX2, dotsF162x4AVX2, dotsF163x4AVX2},
		},
		bf16: dotTiles{
			ones:  []dotsTile{dotsBF161x1AVX2, dotsBF162x1AVX2, dotsBF163x1AVX2},
			fours: []dotsTile{dotsBF161x4AVX2, dotsBF162x4AVX2, dotsBF163x4AVX2},
		},
	}
	k.dots = set.multiply
	k.round = roundVectors
	blocks := blocksSet{
		lanes: 8,
		q8:    []blocksTile{blocksQ8x1AVX2, blocksQ8x2AVX2, blocksQ8x3AVX2, blocksQ8x4AVX2},
		q4:    []blocksTile{blocksQ4x1AVX2, blocksQ4x2AVX2, blocksQ4x3AVX2, blocksQ4x4AVX2},
		q5:    []blocksTile{blocksQ5x1AVX2, blocksQ5x2AVX2, blocksQ5x3AVX2, blocksQ5x4AVX2},
		q4k:   []blocksTile{blocksQ4Kx1AVX2, blocksQ4Kx2AVX2, blocksQ4Kx3AVX2, blocksQ4Kx4AVX2},
		q6k:   []blocksTile{blocksQ6Kx1AVX2, blocksQ6Kx2AVX2, blocksQ6Kx3AVX2, blocksQ6Kx4AVX2},
	}
	k.blockRows, k.blocks = len(blocks.q8), blocks.multiply
}

// addVectorAVX512 sets the kernels of MatVec: those of AVX2 for integers where
// there is no instruction for products of bytes.
func addVectorAVX512(k *kernels, vnni bool) {
	addVectorAVX2(k)
	set := dotSet{
		f32: dotTiles{
			ones:  []dotsTile{dotsF321x1AVX512, dotsF322x1AVX512, dotsF323x1AVX512, dotsF324x1AVX512, dotsF325x1AVX512, dotsF326x1AVX512},
			fours: []dotsTile{dotsF321x4AVX512, dotsF322x4AVX512, dotsF323x4AVX512, dotsF324x4AVX512, dotsF325x4AVX512, dotsF326x4AVX512},
		},
		f16: dotTiles{
			ones:  []dotsTile{dotsF161x1AVX512, dotsF162x1AVX512, dotsF163x1AVX512, dotsF164x1AVX512, dotsF165x1AVX512, dotsF166x1AVX512},
			fours: []dotsTile{dotsF161x4AVX512, dotsF162x4AVX512, dotsF163x4AVX512, dotsF164x4AVX512, dotsF165x4AVX512, dotsF166x4AVX512},
		},
		bf16: dotTiles{
			ones:  []dotsTile{dotsBF161x1AVX512, dotsBF162x1AVX512, dotsBF163x1AVX512, dotsBF164x1AVX512, dotsBF165x1AVX512, dotsBF166x1AVX512},
			fours: []dotsTile{dotsBF161x4AVX512, dotsBF162x4AVX512, dotsBF163x4AVX512, dotsBF164x4AVX512, dotsBF165x4AVX512, dotsBF166x4AVX512},
		},
	}
	k.dots = set.multiply
	if !vnni {
		return
	}
	blocks := blocksSet{
		lanes:  16,
		groups: 8,
		q8:     []blocksTile{blocksQ8x1AVX512, blocksQ8x2AVX512, blocksQ8x3AVX512, blocksQ8x4AVX512, blocksQ8x5AVX512, blocksQ8x6AVX512, blocksQ8x7AVX512, blocksQ8x8AVX512},
		q4:     []blocksTile{blocksQ4x1AVX512, blocksQ4x2AVX512, blocksQ4x3AVX512, blocksQ4x4AVX512, blocksQ4x5AVX512, blocksQ4x6AVX512, blocksQ4x7AVX512, blocksQ4x8AVX512},
		q5:     []blocksTile{blocksQ5x1AVX512, blocksQ5x2AVX512, blocksQ5x3AVX512, blocksQ5x4AVX512, blocksQ5x5AVX512, blocksQ5x6AVX512, blocksQ5x7AVX512, blocksQ5x8AVX512},
		q4k:    []blocksTile{blocksQ4Kx1AVX512, blocksQ4Kx2AVX512, blocksQ4Kx3AVX512, blocksQ4Kx4AVX512, blocksQ4Kx5AVX512, blocksQ4Kx6AVX512, blocksQ4Kx7AVX512, blocksQ4Kx8AVX512},
		q6k:    []blocksTile{blocksQ6Kx1AVX512, blocksQ6Kx2AVX512, blocksQ6Kx3AVX512, blocksQ6Kx4AVX512, blocksQ6Kx5AVX512, blocksQ6Kx6AVX512, blocksQ6Kx7AVX512, blocksQ6Kx8AVX512},
	}
	k.blockRows, k.blocks = len(blocks.q8), blocks.multiply
}
