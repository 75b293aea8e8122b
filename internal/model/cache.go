package model

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Cache holds the keys and values of one sequence's tokens, so that the next
// token costs one row. It belongs to the Decoder that made it.
type Cache struct {
	dev    compute.Device
	width  int // G·E
	length int
	cap    int
	keys   []*tensor.Dense // one per layer, (cap,G·E), turned by position
	values []*tensor.Dense
}

// Len is the number of tokens that the cache holds.
func (c *Cache) Len() int { return c.length }

// grow makes room for n more tokens.
func (c *Cache) grow(n int) {
	need := c.length + n
	if need <= c.cap {
		return
	}
	size := max(need, 2*c.cap)
	for _, list := range [][]*tensor.Dense{c.keys, c.values} {
		for i, old := range list {
			list[i] = c.dev.New(size, c.width)
			if old != nil {
				c.dev.Copy(compute.Of(list[i]).RowRange(0, c.length), compute.Of(old).RowRange(0, c.length))
			}
		}
	}
	c.cap = size
}

// Fork returns a copy of c with room for n more tokens.
func (c *Cache) Fork(n int) *Cache {
	f := &Cache{dev: c.dev, width: c.width, length: c.length, cap: max(c.length+n, 1),
		keys: make([]*tensor.Dense, len(c.keys)), values: make([]*tensor.Dense, len(c.values))}
	for i := range c.keys {
		for _, p := range []struct{ to, from []*tensor.Dense }{{f.keys, c.keys}, {f.values, c.values}} {
			p.to[i] = c.dev.New(f.cap, f.width)
			c.dev.Copy(compute.Of(p.to[i]).RowRange(0, c.length), compute.Of(p.from[i]).RowRange(0, c.length))
		}
	}
	return f
}
