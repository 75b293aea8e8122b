package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// wordCache remembers the ids of recent words. Each word has one slot, given
// by its hash, and the last word stored there stays: bounded memory, no locks.
type wordCache struct {
	seed  maphash.Seed
	slots [1 << 13]atomic.Pointer[cachedWord]
}

type cachedWord struct {
	word string
	ids  []int32
}

// maxCachedWord is the length in bytes beyond which a word is not worth
// keeping: long ones seldom come back.
const maxCachedWord = 64

func newWordCache() *wordCache { return &wordCache{seed: maphash.MakeSeed()} }

func (c *wordCache) slot(word string) *atomic.Pointer[cachedWord] {
	return &c.slots[maphash.String(c.seed, word)%uint64(len(c.slots))]
}

// get returns the ids of word, which the caller must not change.
func (c *wordCache) get(word string) ([]int32, bool) {
	if len(word) > maxCachedWord {
		return nil, false
	}
	e := c.slot(word).Load()
	if e == nil || e.word != word {
		return nil, false
	}
	return e.ids, true
}

func (c *wordCache) put(word string, ids []int32) {
	if len(word) <= maxCachedWord {
		// The word is a part of a whole text, which the cache must not keep alive.
		c.slot(word).Store(&cachedWord{strings.Clone(word), append([]int32(nil), ids...)})
	}
}
