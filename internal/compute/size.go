package compute

// MatrixBytes returns how much memory an out × in matrix takes in the format,
// the scales of NF4 included.
func (f Format) MatrixBytes(out, in int) int {
	n := out * f.RowBytes(in)
	if f == NF4 {
		scales := (out*in + nf4Block - 1) / nf4Block
		n += scales + 4*((scales+nf4Nested-1)/nf4Nested)
	}
	return n
}

// Outline returns a matrix without values, for models that are planned and
// never run. Its Data and Array are nil.
func Outline(f Format, out, in int) *Weight { return &Weight{Format: f, Out: out, In: in} }
