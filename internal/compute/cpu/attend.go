package cpu

const (
	// minScored is how many keys the score kernel takes at least: fewer are no
	// whole vector.
	minScored = 16
	// scoreColumns is what a head's width is a multiple of in the score kernel.
	scoreColumns = 4
)

// scoreGo is the portable score kernel.
func scoreGo(s []float32, lds int, q []float32, keys view, scale float32) {
	for h := range len(q) / keys.cols {
		head := q[h*keys.cols:][:keys.cols]
		for j := range keys.rows {
			sum := float32(0)
			row := keys.row(j)
			for c, x := range head {
				sum += x * row[c]
			}
			s[h*lds+j] = scale * sum
		}
	}
}

// weighGo is the portable weigh kernel.
func weighGo(c, p []float32, ldp int, values view) {
	for h := range len(c) / values.cols {
		sums := c[h*values.cols:][:values.cols]
		for i := range values.rows {
			w := p[h*ldp+i]
			for j, v := range values.row(i) {
				sums[j] += w * v
			}
		}
	}
}
