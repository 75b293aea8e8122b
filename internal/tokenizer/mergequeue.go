package tokenizer

// symbolList links the symbols of one word, so that a merge removes one in
// constant time. A removed symbol has prev == removedMark.
type symbolList struct {
	prev, next []int32 // -1 at the ends
}

const removedMark = -2

func newSymbolList(n int) symbolList {
	links := make([]int32, 2*n)
	l := symbolList{prev: links[:n], next: links[n:]}
	for i := range n {
		l.prev[i], l.next[i] = int32(i)-1, int32(i)+1
	}
	l.next[n-1] = -1
	return l
}

func (l symbolList) removed(i int32) bool { return l.prev[i] == removedMark }

// remove takes out symbol i, which is never the first.
func (l symbolList) remove(i int32) {
	prev, next := l.prev[i], l.next[i]
	l.next[prev] = next
	if next >= 0 {
		l.prev[next] = prev
	}
	l.prev[i], l.next[i] = removedMark, -1
}

// candidate is a merge that was possible when it was queued: the symbol at
// left with its successor.
type candidate struct {
	rank   int32
	left   int32
	result int32 // id (bpe) or length in bytes (scored) that the merge gives
}

// mergeQueue is a binary heap of candidates: lowest rank first, then leftmost.
// container/heap would box every candidate.
type mergeQueue []candidate

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.left < d.left
}

func (q *mergeQueue) push(c candidate) {
	h := append(*q, c)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = c
	*q = h
}

func (q *mergeQueue) pop() candidate {
	h := *q
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = last
	return top
}
