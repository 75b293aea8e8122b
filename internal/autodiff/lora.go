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
//
// Of an embedding (V,D) the matrix meant is its transpose: in is V, out is D.
type LoRA struct {
	A, B      *Param // (r,in), (out,r)
	Magnitude *Param // (out), or nil
	Bias      *Param // (out), or nil: scale·Bias is added to what B makes; never with a Magnitude
	Embedding bool   // the weight is an embedding's
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
	if u.Bias != nil && (u.Magnitude != nil || u.Embedding || !u.Bias.Value.Shape().Eq(tensor.Shape{out})) {
		return fmt.Errorf("weight of part %d (%d, %d), bias %v of its low-rank update", part, out, in, u.Bias.Value.Shape())
	}
	if !(u.Dropout >= 0 && u.Dropout < 1) {
		return fmt.Errorf("dropout of part %d: probability %v: want 0 to below 1", part, u.Dropout)
	}
	return nil
}

// Params are the update's arrays in PEFT's order.
func (u *LoRA) Params() []*Param {
	list := []*Param{u.A, u.B}
	for _, p := range []*Param{u.Bias, u.Magnitude} {
		if p != nil {
			list = append(list, p)
		}
	}
	return list
}

// Values is how many values Params have.
func (u *LoRA) Values() int {
	n := 0
	for _, p := range u.Params() {
		n += p.Value.Shape().TotalSize()
	}
	return n
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

// scales has the squares of the rows' lengths, computed once, and room for the rest.
func (u *LoRA) scales(dev compute.Device, w *compute.Weight) *doraScale {
	if u.dora != nil && u.dora.weight == w {
		return u.dora
	}
	r, out := u.rank(), u.B.Value.Shape()[0]
	d := &doraScale{weight: w, squares: make([]float64, out), row: make([]float32, w.In),
		gain: dev.New(out), inverse: dev.New(out), wa: dev.New(r, out), aa: compute.SharedF32(dev.New(r, r)), baa: dev.New(out, r)}
	for i := range w.Out {
		w.Row(d.row, i)
		if !u.Embedding {
			d.squares[i] = sumSquares(d.row)
			continue
		}
		for j, v := range d.row {
			d.squares[j] += float64(v) * float64(v)
		}
	}
	u.dora = d
	return d
}

// cancelled is the share of a squared length's terms below which their sum has
// lost too many digits: the row is then added up itself.
const cancelled = 1e-3

// norms computes ‖w_j + s·b_jA‖ from ‖w_j‖² + 2s·b_j·(A·w_j) + s²·b_j·(A·Aᵀ)·b_j,
// which costs as much as r rows of input and never forms the sum.
func (d *doraScale) norms(dev compute.Device, u *LoRA) []float32 {
	w, r, s := d.weight, u.rank(), float64(u.Scale)
	a := compute.Of(u.A.Value)
	if u.Embedding {
		dev.MatMulGrad(compute.Of(d.wa), a, w, 1, false)
	} else {
		dev.MatMul(compute.Of(d.wa), a, w, 1, false)
	}
	dev.MatMul(compute.Of(d.aa.Array()), a, u.A.weight(), 1, false)
	dev.MatMul(compute.Of(d.baa), compute.Of(u.B.Value), d.aa, 1, false)
	wa, baa, b := dev.Host(compute.Of(d.wa)), dev.Host(compute.Of(d.baa)), dev.Host(compute.Of(u.B.Value))
	out := len(d.squares)
	norms := make([]float32, out)
	var lost []int
	for j := range norms {
		cross, own := 0.0, 0.0
		for k, bk := range b[j*r : (j+1)*r] {
			cross += float64(bk) * float64(wa[k*out+j])
			own += float64(bk) * float64(baa[j*r+k])
		}
		total, terms := d.squares[j]+2*s*cross+s*s*own, d.squares[j]+s*s*own
		if !(total > cancelled*terms) {
			lost = append(lost, j)
		}
		norms[j] = float32(math.Sqrt(total))
	}
	for i, total := range d.direct(dev, u, lost) {
		norms[lost[i]] = float32(math.Sqrt(total))
	}
	return norms
}

// direct are the squared lengths of such rows of w + s·B·A, added up.
func (d *doraScale) direct(dev compute.Device, u *LoRA, rows []int) []float64 {
	r, in := u.rank(), u.A.Value.Shape()[1]
	a, b := dev.Host(compute.Of(u.A.Value)), dev.Host(compute.Of(u.B.Value))
	totals := make([]float64, len(rows))
	add := func(at, i int, v float32) {
		sum := 0.0
		for k, bk := range b[rows[at]*r : (rows[at]+1)*r] {
			sum += float64(bk) * float64(a[k*in+i])
		}
		sum = float64(v) + float64(u.Scale)*sum
		totals[at] += sum * sum
	}
	if !u.Embedding {
		for at, j := range rows {
			d.weight.Row(d.row, j)
			for i, v := range d.row {
				add(at, i, v)
			}
		}
		return totals
	}
	for i := 0; len(rows) > 0 && i < d.weight.Out; i++ { // each row of the table once
		d.weight.Row(d.row, i)
		for at, j := range rows {
			add(at, i, d.row[j])
		}
	}
	return totals
}

func sumSquares(row []float32) float64 {
	sum := 0.0
	for _, v := range row {
		sum += float64(v) * float64(v)
	}
	return sum
}

// ScaleRows scales the rows of v (out,in), which is W + scale·B·A itself, to
// the lengths that a DoRA update's magnitudes say; of an embedding the columns of v (V,D).
func (u *LoRA) ScaleRows(dev compute.Device, v compute.Mat) {
	magnitude, values := dev.Host(compute.Of(u.Magnitude.Value)), dev.Host(v)
	squares := make([]float64, len(magnitude))
	each := func(f func(i, j int)) { // of value i in row j
		for r := range v.Rows {
			for c := range v.Cols {
				if u.Embedding {
					f(r*v.Cols+c, c)
				} else {
					f(r*v.Cols+c, r)
				}
			}
		}
	}
	each(func(i, j int) { squares[j] += float64(values[i]) * float64(values[i]) })
	gains := make([]float32, len(magnitude))
	for j, m := range magnitude {
		if norm := float64(float32(math.Sqrt(squares[j]))); norm > 0 { // a row of zeros stays one
			gains[j] = float32(float64(m) / norm)
		}
	}
	each(func(i, j int) { values[i] *= gains[j] })
}

// Bytes is the memory of the update's values and of what DoRA derives from them.
func (u *LoRA) Bytes() int {
	n := 4 * u.Values()
	if u.Magnitude == nil {
		return n
	}
	r, out := u.rank(), u.Magnitude.Value.Shape()[0]
	return n + 4*out*(2+1+2*r) + 8*out + 4*r*r // scales, norms, A·Wᵀ and B·A·Aᵀ; squares; A·Aᵀ
}
