package datasets

// blockRows is how many rows one leaf of freeRows' tree stands for: few enough
// to look through, and enough that the tree takes next to nothing.
const blockRows = 16

// freeRows finds the first row with room for a sequence in O(log n). The rows
// that have sequences are in blocks, and above these is a complete binary tree:
// its leaves have the most free tokens of a row of each block, and its inner
// nodes the most below them.
type freeRows struct {
	length int
	used   int      // rows that have sequences
	free   []uint32 // tokens, of each of those
	leaves int      // a power of two
	most   []uint32
}

// reset prepares for at most n rows of length tokens.
func (f *freeRows) reset(n, length int) {
	f.length, f.used, f.free, f.leaves = length, 0, sized(f.free, n)[:0], 1
	for f.leaves < (n+blockRows-1)/blockRows {
		f.leaves *= 2
	}
	f.most = sized(f.most, 2*f.leaves)
	for i := range f.most {
		f.most[i] = uint32(length)
	}
}

// take takes size tokens, at most the length of a row, of the first row that
// has them. There must be one: see layout.pack.
func (f *freeRows) take(size int) int {
	node := 1
	for node < f.leaves {
		if node *= 2; int(f.most[node]) < size {
			node++
		}
	}
	first := (node - f.leaves) * blockRows
	row := first
	for row < f.used && int(f.free[row]) < size {
		row++
	}
	if row == f.used {
		f.free = append(f.free, uint32(f.length))
		f.used++
	}
	f.free[row] -= uint32(size)
	f.most[node] = f.mostOf(first)
	for node /= 2; node > 0; node /= 2 {
		f.most[node] = max(f.most[2*node], f.most[2*node+1])
	}
	return row
}

// mostOf is the most free tokens of a row of the block that begins with first.
func (f *freeRows) mostOf(first int) uint32 {
	if f.used < first+blockRows {
		return uint32(f.length) // it has empty rows
	}
	most := uint32(0)
	for _, free := range f.free[first : first+blockRows] {
		most = max(most, free)
	}
	return most
}
