//go:build !purego

package cpu

import "github.com/retort-ml/retort/internal/compute"

// transposeVectors packs lanes rows at a time, and what is left in Go.
func transposeVectors(kernel func(dst, src *float32, stride, depth int), lanes int, dst, rows []float32, stride, n, depth int) {
	if n == 0 || depth == 0 {
		return
	}
	_ = dst[(depth-1)*panelWidth+n-1]
	_ = rows[(n-1)*stride+depth-1]
	even := depth &^ 3
	j := 0
	for ; even > 0 && j+lanes <= n; j += lanes {
		kernel(&dst[j], &rows[j*stride], stride, even)
		for k := even; k < depth; k++ {
			for i := j; i < j+lanes; i++ {
				dst[k*panelWidth+i] = rows[i*stride+k]
			}
		}
	}
	if j < n {
		transposeColumns(dst, rows, stride, j, n, depth)
	}
}

// readers are the convert kernels of an instruction set: n groups of 32 values,
// stride bytes apart.
type readers struct {
	f16, bf16, q8, q4 func(dst *float32, src *byte, n, stride int)
}

// convert bounds one call in assembly to pieceValues.
func (r readers) convert(f compute.Format, dst []float32, data []byte, stride int) {
	var reader func(dst *float32, src *byte, n, stride int)
	switch f {
	case compute.F16:
		reader = r.f16
	case compute.BF16:
		reader = r.bf16
	case compute.Q8_0:
		reader = r.q8
	case compute.Q4_0:
		reader = r.q4
	default:
		convertGo(f, dst, data, stride)
		return
	}
	for groups := len(dst) / panelWidth; groups > 0; {
		n := min(groups, pieceValues/panelWidth)
		_ = data[(n-1)*stride+f.RowBytes(panelWidth)-1] // the kernels do not check
		reader(&dst[0], &data[0], n, stride)
		if groups -= n; groups > 0 {
			dst, data = dst[n*panelWidth:], data[n*stride:]
		}
	}
}
