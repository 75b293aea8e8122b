package train

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/internal/memory"
)

const (
	// programBytes is what the process has besides arrays and data: its own
	// code, the runtime, and the graph. Measured.
	programBytes = 28 << 20
	// garbageBytes is about how much garbage piles up until it is collected.
	garbageBytes = 16 << 20
)

// Need is what decides how much memory a run takes.
type Need struct {
	Student   Student // with Params, or the outline of one
	Rows      int     // of a batch, B·T
	ValidRows int     // of a validation batch; 0 means that there is none
	DataBytes int64   // of training and validation data together
	Options   Options
}

// Memory is how much memory a run takes.
type Memory struct {
	Peak       int64 // bytes of the whole process while it trains, at most
	Recomputed int   // layers whose part of the forward pass is computed again for the gradient
	Layers     int
}

// String is a line for a log.
func (m Memory) String() string {
	text := fmt.Sprintf("memory: about %s at the peak", bytesize.Size(m.Peak))
	if m.Recomputed > 0 {
		text += fmt.Sprintf("; %d of %d layers are computed again for their gradients, to save memory", m.Recomputed, m.Layers)
	}
	return text
}

// MemoryError says that a run does not fit.
type MemoryError struct {
	Least int64 // bytes that the process takes with every layer recomputed
	Limit int64 // bytes that it may take
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("takes at least %s of memory, %s are there for it", bytesize.Size(e.Least), bytesize.Size(e.Limit))
}

// Limit is how many bytes a run may take: o.Memory, or what the machine has
// where that is 0, or any number where nobody can tell.
func (o Options) Limit() int64 {
	if o.Memory > 0 {
		return int64(o.Memory)
	}
	if n := memory.Limit(); n > 0 {
		return n
	}
	return math.MaxInt64
}

// Memory plans a run in limit bytes, as Run does it: as few layers are
// recomputed as possible. It is a MemoryError if the run does not fit.
func (n Need) Memory(limit int64) (Memory, error) {
	g, err := n.Student.Graph(n.Rows, true, float32(n.Options.Dropout))
	if err != nil {
		return Memory{}, err
	}
	var valid *autodiff.Graph
	if n.ValidRows > 0 {
		if valid, err = n.Student.Graph(n.ValidRows, false, 0); err != nil {
			return Memory{}, err
		}
	}
	return n.fit(g, valid, limit)
}

// fit makes g recompute what it must to keep within the limit. valid may be nil.
func (n Need) fit(g, valid *autodiff.Graph, limit int64) (Memory, error) {
	fixed := n.fixed()
	if valid != nil {
		b, err := valid.Bytes()
		if err != nil {
			return Memory{}, err
		}
		fixed += int64(b)
	}
	recomputed, tooLarge := g.FitMemory(int(min(limit-fixed, math.MaxInt)))
	b, err := g.Bytes()
	if err != nil {
		return Memory{}, err
	}
	peak := fixed + int64(b)
	if peak > limit {
		return Memory{}, &MemoryError{Least: peak, Limit: limit}
	}
	return Memory{Peak: peak, Recomputed: recomputed, Layers: g.Blocks()}, tooLarge
}

// fixed is all that a run takes but its graphs.
func (n Need) fixed() int64 {
	perValue := 4 + 8 // gradient and moments
	if n.Options.Keep == "best" {
		perValue += 4
	}
	// A device packs the keys and values of all rows, with some space to grow.
	packed := 2 * 5 * max(n.Rows, n.ValidRows) * n.Student.KeyCols()
	return programBytes + garbageBytes + n.DataBytes + int64(n.Student.Bytes()) + int64(n.Student.Trainable())*int64(perValue) + int64(packed)
}

// limitGarbage keeps garbage to about garbageBytes while a run takes peak
// bytes: it holds its memory from the first step to the last, and Go would let
// garbage pile up until the heap has doubled.
func limitGarbage(peak int64) (restore func()) {
	return memory.LimitGarbage(int(min(100, max(1, 100*garbageBytes/max(peak, 1)))))
}
