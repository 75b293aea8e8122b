//go:build !purego

package cpu

// softmaxes are the kernels in assembly for rows of scores.
type softmaxes struct {
	rows func(x *float32, ld, rows int, from, to *int32, width int, stats *float32)
	grad func(p, ds *float32, ld, rows int, from, to *int32, width int, stats *float32, scale float32)
}

// softmaxWith sets the kernels softmaxRows and softmaxGradRows.
func (k *kernels) softmaxWith(s softmaxes) {
	k.softmaxRows = func(x []float32, ld, width int, b bounds, stats []float32) {
		b.eachPiece(len(x), ld, width, len(stats), func(i, n int) {
			s.rows(&x[i*ld], ld, n, &b.from[i], &b.to[i], width, &stats[2*i])
		})
	}
	k.softmaxGradRows = func(p, ds []float32, ld, width int, b bounds, stats []float32, scale float32) {
		b.eachPiece(min(len(p), len(ds)), ld, width, len(stats), func(i, n int) {
			s.grad(&p[i*ld], &ds[i*ld], ld, n, &b.from[i], &b.to[i], width, &stats[2*i], scale)
		})
	}
}

// eachPiece calls f for the rows i ≤ … < i+n, so few that a call in assembly,
// which the scheduler cannot interrupt, is short. The kernels do not check:
// this panics where they would leave the slices.
func (b bounds) eachPiece(values, ld, width, stats int, f func(i, n int)) {
	rows := len(b.from)
	if rows == 0 {
		return
	}
	if width < 1 || values < (rows-1)*ld+width || stats < 2*rows || len(b.to) < rows {
		panic("cpu: rows of scores that do not fit")
	}
	for i, from := range b.from {
		if to := b.to[i]; from < 0 || to < from || int(to) > width {
			panic("cpu: scores outside of their row")
		}
	}
	piece := max(1, pieceValues/width)
	for i := 0; i < rows; i += piece {
		f(i, min(piece, rows-i))
	}
}
