package model

// outgrows tells whether n more tokens make a short sequence a long one, whose
// keys and values so far must then be computed again.
func (c *Cache) outgrows(n int) bool {
	return c.memory.longFrom > 0 && !c.memory.keepsKeys && !c.memory.isLong(c.turned) && c.length > 0 && c.memory.isLong(c.length+n)
}

// restart empties a cache that tokens outgrow, and returns all tokens of its
// sequence: those so far and the new ones.
func (c *Cache) restart(tokens []int32) []int32 {
	all := append(c.tokens[:c.length:c.length], tokens...)
	c.release()
	c.tokens = nil
	c.room = max(c.room, len(all))
	return all
}

// note remembers tokens that are about to be added.
func (c *Cache) note(tokens []int32) {
	if c.memory.longFrom == 0 {
		return
	}
	c.tokens = append(c.tokens[:c.length:c.length], tokens...)
	c.turned = max(c.turned, c.length+len(tokens))
}

// isLong tells whether a sequence of so many tokens is a long one.
func (m *cacheMemory) isLong(tokens int) bool { return m.longFrom > 0 && tokens > m.longFrom }

// sameTurn tells whether whole sequences of so many tokens have keys in common
// where their tokens are alike.
func (m *cacheMemory) sameTurn(a, b int) bool {
	return m.isLong(a) == m.isLong(b) && !(m.isLong(a) && m.keepsKeys)
}
