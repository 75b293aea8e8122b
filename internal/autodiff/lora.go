package autodiff

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// LoRA is a low-rank update of a matrix: W + scale·B·A. With a Magnitude m it
// is a DoRA update (Liu et al. 2024): the rows of that sum are scaled to the
// lengths that m says,
//
//	W' = diag(g)·(W + scale·B·A),  g_j = m_j / ‖(W + scale·B·A)_j‖
//
// and the norm counts as a constant for the gradient (section 4.3 of the paper).
type LoRA struct {
	A, B      *Param // (r,in), (out,r)
	Magnitude *Param // (out), or nil
	Scale     float32
	Dropout   float32 // of the update's input, in training; 0 is none

	dora *doraScale
}

// doraScale is what the rows of an updated matrix are multiplied by, and what
// it is computed from.
type doraScale struct {
	weight  *compute.Weight // the matrix that squares are of
	squares []float64       // (out) of its rows

	gain    *tensor.Dense   // (out) g
	inverse *tensor.Dense   // (out) 1/norm
	wa      *tensor.Dense   // (r,out) A·Wᵀ
	aa      *compute.Weight // (r,r) A·Aᵀ
	baa     *tensor.Dense   // (out,r) B·A·Aᵀ
	row     []float32       // (in) scratch
}

// check compares the shapes of an update with those of its matrix.
func (u *LoRA) check(part, out, in int) error {
	a, b := u.A.Value.Shape(), u.B.Value.Shape()
	if len(a) != 2 || !a.Eq(tensor.Shape{a[0], in}) || !b.Eq(tensor.Shape{out, a[0]}) {
		return fmt.Errorf("weight of part %d (%d, %d), low-rank A %v and B %v", part, out, in, a, b)
	}
	if u.Magnitude != nil && !u.Magnitude.Value.Shape().Eq(tensor.Shape{out}) {
		return fmt.Errorf("weight of part %d (%d, %d), magnitude %v", part, out, in, u.Magnitude.Value.Shape())
	}
	if !(u.Dropout >= 0 && u.Dropout < 1) {
		return fmt.Errorf("dropout of part %d: probability %v: want 0 to below 1", part, u.Dropout)
	}
	return nil
}

func (u *LoRA) rank() int { return u.A.Value.Shape()[0] }

// Refresh computes anew what a DoRA update multiplies the rows of w by. Who
// changes parameters by other means than a Graph's training calls it before
// the next Linear.Forward. Other updates need nothing.
func (u *LoRA) Refresh(dev compute.Device, w *compute.Weight) {
	if u.Magnitude == nil {
		return
	}
	d := u.scales(dev, w)
	norms := d.norms(dev, u)
	magnitude := dev.Host(compute.Of(u.Magnitude.Value))
	gain, inverse := dev.Host(compute.Of(d.gain)), dev.Host(compute.Of(d.inverse))
	for j, n := range norms {
		if n == 0 { // a row of zeros stays one
			gain[j], inverse[j] = 0, 0
			continue
		}
		gain[j] = float32(float64(magnitude[j]) / float64(n))
		inverse[j] = float32(1 / float64(n))
	}
}

// Norms are the lengths of the rows of W + scale·B·A (out).
func (u *LoRA) Norms(dev compute.Device, w *compute.Weight) []float32 {
	return u.scales(dev, w).norms(dev, u)
}

// scales has the squares of w's rows, computed once, and room for the rest.
func (u *LoRA) scales(dev compute.Device, w *compute.Weight) *doraScale {
	if u.dora == nil || u.dora.weight != w {
		r := u.rank()
		u.dora = &doraScale{weight: w, squares: make([]float64, w.Out), row: make([]float32, w.In),
			gain: dev.New(w.Out), inverse: dev.New(w.Out), wa: dev.New(r, w.Out), aa: compute.SharedF32(dev.New(r, r)), baa: dev.New(w.Out, r)}
		for j := range u.dora.squares {
			w.Row(u.dora.row, j)
			u.dora.squares[j] = sumSquares(u.dora.row)
		}
	}
	return u.dora
}

// cancelled is the share of a squared length's terms below which their sum has
// lost too many digits: the row is then added up itself.
const cancelled = 1e-3

// norms computes ‖w_j + s·b_jA‖ from ‖w_j‖² + 2s·b_j·(A·w_j) + s²·b_j·(A·Aᵀ)·b_j,
// which costs as much as r rows of input and never forms the sum.
func (d *doraScale) norms(dev compute.Device, u *LoRA) []float32 {
	w, r, s := d.weight, u.rank(), float64(u.Scale)
	a := compute.Of(u.A.Value)
	dev.MatMul(compute.Of(d.wa), a, w, 1, false)
	dev.MatMul(compute.Of(d.aa.Array()), a, u.A.weight(), 1, false)
	dev.MatMul(compute.Of(d.baa), compute.Of(u.B.Value), d.aa, 1, false)
	wa, baa, b := dev.Host(compute.Of(d.wa)), dev.Host(compute.Of(d.baa)), dev.Host(compute.Of(u.B.Value))
	norms := make([]float32, w.Out)
	for j := range norms {
		cross, own := 0.0, 0.0
		for k, bk := range b[j*r : (j+1)*r] {
			cross += float64(bk) * float64(wa[k*w.Out+j])
			own += float64(bk) * float64(baa[j*r+k])
		}
		total, terms := d.squares[j]+2*s*cross+s*s*own, d.squares[j]+s*s*own
		if !(total > cancelled*terms) {
			total = d.direct(dev, u, j)
		}
		norms[j] = float32(math.Sqrt(total))
	}
	return norms
}

// direct is the squared length of row j of w + s·B·A, added up.
func (d *doraScale) direct(dev compute.Device, u *LoRA, j int) float64 {
	r, in := u.rank(), d.weight.In
	d.weight.Row(d.row, j)
	a, b := dev.Host(compute.Of(u.A.Value)), dev.Host(compute.Of(u.B.Value))[j*r:(j+1)*r]
	total := 0.0
	for i, v := range d.row {
		sum := 0.0
		for k, bk := range b {
			sum += float64(bk) * float64(a[k*in+i])
		}
		sum = float64(v) + float64(u.Scale)*sum
		total += sum * sum
	}
	return total
}

func sumSquares(row []float32) float64 {
	sum := 0.0
	for _, v := range row {
		sum += float64(v) * float64(v)
	}
	return sum
}

// ScaleRows scales the rows of v (out,in), which is W + scale·B·A itself, to
// the lengths that a DoRA update's magnitudes say.
func (u *LoRA) ScaleRows(dev compute.Device, v compute.Mat) {
	magnitude, values := dev.Host(compute.Of(u.Magnitude.Value)), dev.Host(v)
	for j, m := range magnitude {
		row := values[j*v.Cols : (j+1)*v.Cols]
		norm := float64(float32(math.Sqrt(sumSquares(row))))
		if norm == 0 { // a row of zeros stays one
			continue
		}
		gain := float32(float64(m) / norm)
		for i := range row {
			row[i] *= gain
		}
	}
}

// Bytes is the memory of the update's values and of what DoRA derives from them.
func (u *LoRA) Bytes() int {
	n := 4 * (u.A.Value.Shape().TotalSize() + u.B.Value.Shape().TotalSize())
	if u.Magnitude == nil {
		return n
	}
	r, out := u.rank(), u.Magnitude.Value.Shape()[0]
	return n + 4*out*(1+2+1+2*r) + 8*out + 4*r*r // magnitudes, scales, norms, A·Wᵀ and B·A·Aᵀ; squares; A·Aᵀ
}
