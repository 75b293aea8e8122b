package model

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Cache holds the keys and values of one sequence's tokens, so that the next
// token costs one row. Its rows lie in parts: first those that it shares with
// the cache it was forked from, which nobody changes, then its own. It belongs
// to the Decoder that made it.
type Cache struct {
	memory *cacheMemory
	parts  []part
	length int
	own    bool  // the last part may be continued
	room   int   // tokens that it is expected to hold
	cuts   []int // lengths, ascending, at which a part ends because others will share it

	// Of models that turn long sequences in another way: the tokens of the
	// sequence whose turn its rows have, at least length, and the tokens so far,
	// to compute them again.
	turned int
	tokens []int32
}

// part is rows of a segment, one after another.
type part struct {
	segment    *segment
	from, rows int
}

// segment is memory for the keys and values of some tokens in every layer.
type segment struct {
	array *tensor.Dense // keys (rows,G·E) and values of a layer, layer after layer
	rows  int
	users int // caches with a part of it
}

const (
	// A cache that outgrows its room gets as many rows again as half its length,
	// within these bounds.
	minGrowth, maxGrowth = 32, 512
	// keptBytes bounds the segments without users that are kept for new sequences.
	keptBytes = 128 << 20
)

// Len is the number of tokens that the cache holds.
func (c *Cache) Len() int { return c.length }

// Fork returns a cache that continues the sequence of c on its own, with room
// for n more tokens. It copies nothing: both go on reading the rows so far.
func (c *Cache) Fork(n int) *Cache { return c.forkAt(c.length, n) }

// forkAt is Fork after the first length tokens.
func (c *Cache) forkAt(length, n int) *Cache {
	f := &Cache{memory: c.memory, length: length, room: length + n, parts: make([]part, 0, len(c.parts)+2), turned: c.turned}
	if c.tokens != nil {
		f.tokens = c.tokens[:length:length]
	}
	for _, p := range c.parts {
		if length == 0 {
			break
		}
		p.rows = min(p.rows, length)
		length -= p.rows
		f.addPart(p)
	}
	return f
}

func (c *Cache) addPart(p part) {
	p.segment.users++
	c.parts = append(c.parts, p)
}

// extend makes n more rows part of c, whose keys and values are yet to be
// written. Rows that are there already stay where they are.
func (c *Cache) extend(n int) {
	for n > 0 {
		took := min(n, c.left())
		if took == 0 {
			c.continueIn(c.memory.take(c.nextRows(n)), 0)
			continue
		}
		c.parts[len(c.parts)-1].rows += took
		c.length += took
		n -= took
	}
}

// continueIn puts the next rows into a segment, from row at on.
func (c *Cache) continueIn(s *segment, at int) {
	c.addPart(part{segment: s, from: at})
	c.own = true
}

// left is how many rows the last part can still take.
func (c *Cache) left() int {
	if !c.own {
		return 0
	}
	p := c.parts[len(c.parts)-1]
	n := p.segment.rows - p.from - p.rows
	for _, cut := range c.cuts {
		switch {
		case cut > c.length:
			return min(n, cut-c.length)
		case cut == c.length && p.rows > 0:
			return 0
		}
	}
	return n
}

// nextRows is the size of the segment after the last part, when n tokens come.
func (c *Cache) nextRows(n int) int {
	for _, cut := range c.cuts {
		if cut > c.length {
			return cut - c.length
		}
	}
	if rest := c.room - c.length; rest >= n {
		return rest
	}
	return max(n, min(max(c.length/2, minGrowth), maxGrowth))
}

// newest calls f for the parts of the last n rows, the last part first.
func (c *Cache) newest(n int, f func(p part)) {
	for i := len(c.parts) - 1; n > 0; i-- {
		p := c.parts[i]
		rows := min(n, p.rows)
		n -= rows
		f(part{p.segment, p.from + p.rows - rows, rows})
	}
}

// release gives back what c holds and leaves it empty.
func (c *Cache) release() {
	for _, p := range c.parts {
		if p.segment.users--; p.segment.users == 0 {
			c.memory.keep(p.segment)
		}
	}
	c.parts, c.length, c.own = nil, 0, false
}

// cacheMemory makes the segments of a Decoder's caches, and keeps some that
// were given back.
type cacheMemory struct {
	dev    compute.Device
	widths []int // G·E, by layer
	before []int // values of a row's keys and values in the layers before, by layer
	row    int   // values of a row's keys and values in all layers
	// longFrom is the length beyond which keys are turned in another way
	// (autodiff.Attention.Long); 0 is that there is none. keepsKeys says that keys
	// that are there when a sequence reaches it stay as they are.
	longFrom  int
	keepsKeys bool

	free  []*segment
	bytes int // of free
}

func newCacheMemory(dev compute.Device, widths []int) *cacheMemory {
	m := &cacheMemory{dev: dev, widths: widths}
	for _, w := range widths {
		m.before = append(m.before, m.row)
		m.row += 2 * w
	}
	return m
}

// take returns a segment of at least n rows without users.
func (m *cacheMemory) take(n int) *segment {
	best := -1
	for i, s := range m.free {
		if s.rows >= n && s.rows <= 2*n+64 && (best < 0 || s.rows < m.free[best].rows) {
			best = i
		}
	}
	if best >= 0 {
		s := m.free[best]
		m.free[best] = m.free[len(m.free)-1]
		m.free = m.free[:len(m.free)-1]
		m.bytes -= m.size(s)
		return s
	}
	n = (n + 7) / 8 * 8 // so that sequences of about one length find each other's
	return &segment{array: m.dev.New(n * m.row), rows: n}
}

// keep takes back a segment.
func (m *cacheMemory) keep(s *segment) {
	if size := m.size(s); m.bytes+size <= keptBytes {
		m.free = append(m.free, s)
		m.bytes += size
	}
}

func (m *cacheMemory) size(s *segment) int { return 4 * s.rows * m.row }

// kv views the rows of p in a layer.
func (m *cacheMemory) kv(p part, layer int) compute.KV {
	width := m.widths[layer]
	at := m.before[layer]*p.segment.rows + p.from*width
	keys := compute.Mat{Array: p.segment.array, Offset: at, Rows: p.rows, Cols: width, Stride: width}
	values := keys
	values.Offset += p.segment.rows * width
	return compute.KV{Keys: keys, Values: values}
}
