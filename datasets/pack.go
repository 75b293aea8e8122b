package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// layout is the rows of an epoch: which sequences each has. A sequence takes 12
// bytes, a row 8, and nothing more is allocated from epoch to epoch.
type layout struct {
	made  bool
	epoch int

	order   []uint32 // sequences by index, as they are packed
	row     []uint32 // of each of order: the row it is in
	members []uint32 // order, sorted by row
	ends    []uint32 // where each row ends in members
	shown   []uint32 // rows in the epoch's order
	free    freeRows
}

func (l *layout) rows() int { return len(l.shown) }

// at is the sequences of row r of the epoch.
func (l *layout) at(r int) []uint32 {
	row, from := l.shown[r], uint32(0)
	if row > 0 {
		from = l.ends[row-1]
	}
	return l.members[from:l.ends[row]]
}

// arranged is the layout of an epoch. The caller holds mu.
func (b *Batches) arranged(epoch int) *layout {
	l := &b.layout
	if b.opts.InOrder {
		epoch = 0
	}
	if !l.made || l.epoch != epoch {
		l.arrange(b.sequences, b.opts, epoch)
	}
	return l
}

func (l *layout) arrange(sequences Sequences, o BatchOptions, epoch int) {
	l.made, l.epoch = true, epoch
	l.order = counted(l.order, sequences.Len())
	if o.InOrder {
		l.pack(sequences, o)
		return
	}
	random := shuffleStream(o.Seed, epoch)
	shuffle(random, l.order)
	l.pack(sequences, o)
	// Later sequences fill the gaps of earlier rows, so that the first rows hold
	// the most and the shortest ones. A second shuffle makes batches alike.
	shuffle(random, l.shown)
}

func shuffle(random *rand.Rand, list []uint32) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// counted is 0, 1, … n−1, in list if it has room.
func counted(list []uint32, n int) []uint32 {
	list = sized(list, n)
	for i := range list {
		list[i] = uint32(i)
	}
	return list
}

// sized is n numbers, in list if it has room, with some space to grow: epochs
// differ a little in their rows.
func sized(list []uint32, n int) []uint32 {
	if cap(list) < n {
		return make([]uint32, n, n+n/64)
	}
	return list[:n]
}

// shuffleStream is the random stream of one epoch's order.
func shuffleStream(seed uint64, epoch int) *rand.Rand {
	purpose := binary.LittleEndian.AppendUint64([]byte("datasets.shuffle\x00"), seed)
	purpose = binary.LittleEndian.AppendUint64(purpose, uint64(epoch))
	return rand.New(rand.NewChaCha8(sha256.Sum256(purpose)))
}

// pack puts each sequence, in order, into the first row that has room.
func (l *layout) pack(sequences Sequences, o BatchOptions) {
	if o.NoPacking {
		l.members = l.order
		l.ends = counted(l.ends, len(l.order))
		for i := range l.ends {
			l.ends[i]++
		}
		l.shown = counted(l.shown, len(l.order))
		return
	}
	tokens, _ := sequences.Totals()
	// Of any two rows the tokens are more than one has: of the earlier one and of
	// what did not fit there any more.
	l.free.reset(min(len(l.order), int(2*tokens/int64(o.Length))+2), o.Length)
	l.row = sized(l.row, len(l.order))
	for i, index := range l.order {
		l.row[i] = uint32(l.free.take(sequences.Size(int(index))))
	}
	l.gather(l.free.used)
}

// gather sorts the sequences by their rows, and keeps their order.
func (l *layout) gather(rows int) {
	l.ends = sized(l.ends, rows)
	clear(l.ends)
	for _, row := range l.row {
		if int(row)+1 < rows {
			l.ends[row+1]++ // a row begins where those before it end
		}
	}
	for r := 1; r < rows; r++ {
		l.ends[r] += l.ends[r-1]
	}
	l.members = sized(l.members, len(l.order))
	for i, row := range l.row {
		l.members[l.ends[row]] = l.order[i]
		l.ends[row]++
	}
	l.shown = counted(l.shown, rows)
}
