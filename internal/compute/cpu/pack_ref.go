package cpu

// transposeRef is the meaning of transpose.
func transposeRef(dst, rows []float32, stride, n, depth int) {
	for k := range depth {
		for j := range n {
			dst[k*panelWidth+j] = rows[j*stride+k]
		}
	}
}
