package model

import (
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// ScoreBytes is about the memory that scoring takes: the arrays of a Decoder, for
// as many rows as a step has of so many altogether, and the caches of so many
// sequences of that many tokens, all at once.
func (m *Model) ScoreBytes(rows, sequences, tokens int) int {
	rows = min(rows, scoreRows)
	return m.stepBytes(rows) + m.headBytes(min(rows, logitRows)) + sequences*m.cacheBytes(tokens)
}

// GenerateBytes is about the memory that Generate takes for so many prompts of
// that many tokens, batch at a time: the arrays of a Decoder, caches with the
// room that answers of up to maxTokens get at first, and some that were given
// back and are too small for longer prompts.
func (m *Model) GenerateBytes(prompts, batch, tokens, maxTokens int) int {
	caches := batch * m.cacheBytes(tokens+min(maxTokens, 2*minGrowth))
	n := m.stepBytes(min(prefillRows, batch*tokens)+batch) + m.headBytes(batch) + caches
	if prompts > batch {
		n += min(caches, keptBytes/2)
	}
	return n
}

// GeneratingBytes is the size of the copies of quantized matrices in the order
// in which a device reads them when it generates (Device.MatVec).
func (m *Model) GeneratingBytes() int {
	n := 0
	add := func(w *compute.Weight) {
		if w.Integers() {
			n += w.Format.MatrixBytes(w.Out, w.In)
		}
	}
	for _, part := range m.Linears() {
		add(part.Weight)
	}
	add(m.Head.Weight)
	return n
}

// cacheBytes is a Cache of n tokens.
func (m *Model) cacheBytes(n int) int {
	width := 0
	for _, w := range m.cacheWidths() {
		width += w
	}
	return 4 * 2 * ((n + 7) / 8 * 8) * width
}

// headBytes are the arrays of headArrays for so many rows.
func (m *Model) headBytes(rows int) int { return 4 * rows * (m.Config.HiddenSize + m.Head.Weight.Out) }

// stepBytes are the arrays of a step of so many rows.
func (m *Model) stepBytes(rows int) int {
	s := stepSize{widest: map[slot]int{}}
	hidden(&s, m, 0)
	n := s.lowRank
	for _, cols := range s.widest {
		n += cols
	}
	return 4 * rows * n
}

// stepSize is the ops that counts what eager keeps: a value is its number of
// columns. It gives out slots as eager does.
type stepSize struct {
	widest       map[slot]int // columns
	lowRank      int
	block, index int
}

func (s *stepSize) next(cols int) int {
	s.index++
	key := slot{parity: s.block % 2, index: s.index}
	s.widest[key] = max(s.widest[key], compute.Stride(cols))
	return cols
}

// At starts a block.
func (s *stepSize) At(string) { s.block, s.index = s.block+1, 0 }

// Begin does nothing.
func (s *stepSize) Begin() {}

// End does nothing.
func (s *stepSize) End() {}

// Embed is an array of the embedding's width.
func (s *stepSize) Embed(t *autodiff.Table) int {
	if t.LoRA != nil {
		s.lowRank = max(s.lowRank, t.LoRA.A.Value.Shape()[0])
	}
	return s.next(t.Weight.In)
}

// RMSNorm is an array of x's width.
func (s *stepSize) RMSNorm(x int, _ *autodiff.Gain, _ float32) int { return s.next(x) }

// Linear is an array of the outputs, and one for the updates' inner values.
func (s *stepSize) Linear(_ int, l *autodiff.Linear) int {
	rank := 0
	for _, p := range l.Parts {
		if p.LoRA != nil {
			rank += p.LoRA.A.Value.Shape()[0]
		}
	}
	s.lowRank = max(s.lowRank, rank)
	return s.next(l.Out())
}

// HeadNorm is an array of the packed width.
func (s *stepSize) HeadNorm(qkv int, _ *autodiff.Attention, _ *autodiff.HeadNorms) int {
	return s.next(qkv)
}

// Attention is an array of the queries' width.
func (s *stepSize) Attention(_ int, a *autodiff.Attention) int { return s.next(a.Heads * a.HeadDim) }

// Select is x.
func (s *stepSize) Select(x int) int { return x }

// GLU is an array of half the width.
func (s *stepSize) GLU(gateUp int, _ compute.Activation) int { return s.next(gateUp / 2) }

// Add is an array of x's width.
func (s *stepSize) Add(x, _ int) int { return s.next(x) }

// Dropout is x.
func (s *stepSize) Dropout(x int, _ float32) int { return x }
