package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// wordCache remembers what recent words became. Each word has one slot, given
// by its hash, and the last word stored there stays: bounded memory, no locks.
type wordCache[T any] struct {
	seed  maphash.Seed
	slots [1 << 15]atomic.Pointer[cachedWord[T]]
}

type cachedWord[T any] struct {
	word  string
	value []T
}

// maxCachedWord is the length in bytes beyond which a word is not worth
// keeping: long ones seldom come back.
const maxCachedWord = 64

func newWordCache[T any]() *wordCache[T] { return &wordCache[T]{seed: maphash.MakeSeed()} }

func (c *wordCache[T]) slot(word string) *atomic.Pointer[cachedWord[T]] {
	return &c.slots[maphash.String(c.seed, word)%uint64(len(c.slots))]
}

// get returns what word became, which the caller must not change.
func (c *wordCache[T]) get(word string) ([]T, bool) {
	if len(word) > maxCachedWord {
		return nil, false
	}
	e := c.slot(word).Load()
	if e == nil || e.word != word {
		return nil, false
	}
	return e.value, true
}

func (c *wordCache[T]) put(word string, value []T) {
	if len(word) <= maxCachedWord {
		// The word is a part of a whole text, which the cache must not keep alive.
		c.slot(word).Store(&cachedWord[T]{strings.Clone(word), append([]T(nil), value...)})
	}
}
