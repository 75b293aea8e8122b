package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// rows returns the layout of an epoch: the sequences of every row, by index.
func (b *Batches) rows(epoch int) [][]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opts.InOrder {
		epoch = 0
	}
	if b.layout == nil || b.epoch != epoch {
		b.layout, b.epoch = b.arrange(epoch), epoch
	}
	return b.layout
}

func (b *Batches) arrange(epoch int) [][]int {
	order := make([]int, len(b.sequences))
	for i := range order {
		order[i] = i
	}
	if b.opts.InOrder {
		return b.pack(order)
	}
	random := shuffleStream(b.opts.Seed, epoch)
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	rows := b.pack(order)
	// Later sequences fill the gaps of earlier rows, so that the first rows hold
	// the most and the shortest ones. A second shuffle makes batches alike.
	random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// shuffleStream is the random stream of one epoch's order.
func shuffleStream(seed uint64, epoch int) *rand.Rand {
	purpose := binary.LittleEndian.AppendUint64([]byte("datasets.shuffle\x00"), seed)
	purpose = binary.LittleEndian.AppendUint64(purpose, uint64(epoch))
	return rand.New(rand.NewChaCha8(sha256.Sum256(purpose)))
}

// pack puts each sequence, in order, into the first row that has room.
func (b *Batches) pack(order []int) [][]int {
	if b.opts.NoPacking {
		rows := make([][]int, len(order))
		for i, index := range order {
			rows[i] = []int{index}
		}
		return rows
	}
	free := newFreeRows(len(order), b.opts.Length)
	rows := make([][]int, 0, len(order))
	for _, index := range order {
		r := free.take(len(b.sequences[index].Tokens))
		if r == len(rows) {
			rows = append(rows, nil)
		}
		rows[r] = append(rows[r], index)
	}
	return rows
}

// freeRows finds the first of n rows with room for a sequence in O(log n): a
// complete binary tree whose leaves are the free tokens of each row, and whose
// inner nodes the most below them.
type freeRows struct {
	leaves int // a power of two
	most   []int
}

func newFreeRows(n, length int) *freeRows {
	f := &freeRows{leaves: 1}
	for f.leaves < n {
		f.leaves *= 2
	}
	f.most = make([]int, 2*f.leaves)
	for i := range f.most {
		f.most[i] = length
	}
	return f
}

// take takes size tokens, at most the length of a row, of the first row that
// has them. With as many rows as sequences there always is one.
func (f *freeRows) take(size int) int {
	node := 1
	for node < f.leaves {
		if node *= 2; f.most[node] < size {
			node++
		}
	}
	row := node - f.leaves
	f.most[node] -= size
	for node /= 2; node > 0; node /= 2 {
		f.most[node] = max(f.most[2*node], f.most[2*node+1])
	}
	return row
}
