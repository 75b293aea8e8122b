//go:build !purego

package cpu

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
