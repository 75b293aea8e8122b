package compute

// MatrixBytes returns how much memory an out × in matrix takes in the format,
// the scales of NF4 and TABLE4 included.
func (f Format) MatrixBytes(out, in int) int {
	n := out * f.RowBytes(in)
	scales := (out*in + NF4Block - 1) / NF4Block
	switch f {
	case NF4:
		n += scales + 4*((scales+NF4Nested-1)/NF4Nested)
	case TABLE4:
		n += 4 * scales
	}
	return n
}

// Outline returns a matrix without values, for models that are planned and
// never run. Its Data and Array are nil.
func Outline(f Format, out, in int) *Weight { return &Weight{Format: f, Out: out, In: in} }
