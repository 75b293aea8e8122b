package cpu

// transposeRef is the meaning of transpose.
func transposeRef(dst, rows []float32, stride, n, depth int) {
	for k := range depth {
		for j := range panelWidth {
			dst[k*panelWidth+j] = 0
			if j < n {
				dst[k*panelWidth+j] = rows[j*stride+k]
			}
		}
	}
}
