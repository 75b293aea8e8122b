package overlap

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// digest is what the Finder keeps of a text.
type digest struct {
	prompt, whole [hashBytes]byte
	sketch        []uint32 // nil: nothing to compare
}

// digest works on all processors; what it gives does not depend on them.
func (f *Finder) digest(ctx context.Context, texts []Text) ([]digest, error) {
	out := make([]digest, len(texts))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(texts)) {
		group.Go(func() {
			var set []uint64
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(texts) {
					return
				}
				out[i], set = f.o.digest(texts[i], set[:0])
			}
		})
	}
	group.Wait()
	return out, ctx.Err()
}

// digest uses set as scratch space and gives it back.
func (o Options) digest(t Text, set []uint64) (digest, []uint64) {
	prompt, response := o.Normalize.apply(t.Prompt), o.Normalize.apply(t.Response)
	var d digest
	d.prompt = xxh3.HashString128(prompt).Bytes()
	// The length keeps "ab"+"c" from "a"+"bc".
	both := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(prompt)+len(response)), uint64(len(prompt)))
	d.whole = xxh3.Hash128(append(append(both, prompt...), response...)).Bytes()
	if o.ExactOnly {
		return d, set
	}
	if set = o.shingles(set, t); len(set) > 0 {
		d.sketch = make([]uint32, o.Sketch)
		sketch(d.sketch, set)
	}
	return d, set
}

// shingles appends those of what near duplicates compare.
func (o Options) shingles(to []uint64, t Text) []uint64 {
	text := t.Prompt
	if o.Compare == CompareAll && t.Response != "" {
		text += "\n" + t.Response
	}
	return shingles(to, text, o.Unit, o.Shingle)
}
