package model

// feed takes many sequences into a decoder's caches, in pieces of a bounded
// number of rows per step. What sequences share is computed once.
type feed struct {
	d         *Decoder
	sequences [][]int32
	schedule
	room    int     // tokens that are to follow each sequence
	next    int     // place in order of the next one to begin
	partial *intake // begun, and not in whole
	last    *intake // the latest begun, whose cache the next one may share
}

// intake is a sequence that a feed has begun.
type intake struct {
	index int // of the sequence
	cache *Cache
	ended bool // its cache is of no more use to others
}

// piece is tokens from ≤ j < to of a sequence, as rows from row on of a step.
type piece struct {
	*intake
	from, to, row int
	whole         bool // with it the sequence is in whole
}

// newFeed takes the sequences in, of which tokens from own(i) on must be rows
// of a step, and expects room more tokens after each.
func (d *Decoder) newFeed(sequences [][]int32, own func(i int) int, room int) *feed {
	return &feed{d: d, sequences: sequences, schedule: newSchedule(sequences, own), room: room}
}

// empty tells whether all sequences are in.
func (f *feed) empty() bool { return f.partial == nil && f.next == len(f.order) }

// fill adds pieces of at most rows rows to the step, and begins at most that
// many sequences.
func (f *feed) fill(pieces []piece, rows, sequences int) []piece {
	for rows > 0 && !f.empty() {
		if f.partial == nil {
			if sequences == 0 {
				break
			}
			sequences--
			f.begin()
		}
		in := f.partial
		tokens := f.sequences[in.index]
		from := in.cache.Len()
		n := pieceRows(len(tokens)-from, rows)
		if n == 0 {
			break
		}
		p := piece{intake: in, from: from, to: from + n, whole: from+n == len(tokens)}
		p.row = f.d.eager.add(Run{Cache: in.cache, Tokens: tokens[from:p.to]})
		pieces = append(pieces, p)
		rows -= n
		if p.whole {
			f.partial = nil
		}
	}
	return pieces
}

// pieceRows is how many of the next n rows are taken when there is space for
// some: all, or so many that this piece and the rest have minPiece; 0 if none can.
func pieceRows(n, space int) int {
	if n <= space {
		return n
	}
	if n = min(space, n-minPiece); n >= minPiece {
		return n
	}
	return 0
}

// begin starts the next sequence, from the cache of the one before.
func (f *feed) begin() {
	k := f.next
	f.next++
	in := &intake{index: f.order[k]}
	room := len(f.sequences[in.index]) + f.room
	whole := len(f.sequences[in.index])
	if n := f.shared[k]; n > 0 && f.d.memory.sameTurn(f.last.cache.turned, whole) {
		in.cache = f.last.cache.forkAt(n, room-n)
	} else {
		in.cache = f.d.NewCache(room)
	}
	in.cache.turned = whole // its pieces are turned alike
	in.cache.cuts = f.cuts[k]
	if f.last != nil && f.last.ended {
		f.last.cache.release()
	}
	f.last, f.partial = in, in
}

// end gives back the cache of a sequence, as soon as no other needs it.
func (f *feed) end(in *intake) {
	in.ended = true
	if in != f.last || f.next == len(f.order) {
		in.cache.release()
	}
}
