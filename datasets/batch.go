package datasets

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"
)

// ErrNoTokens says that no token of the sequences would be learned.
var ErrNoTokens = errors.New("no supervised tokens")

// maxBatchTokens bounds B·T: a batch of it takes 7 GB.
const maxBatchTokens = 1 << 28

// Batch is B rows of T tokens, several sequences to a row, each one segment.
// All slices are (B,T), row by row. Where a row has no more sequences, the
// segment is 0, token and position 0, target, example and offset -1, weight 0;
// the last batch of an epoch may have whole rows of that.
type Batch struct {
	B, T      int
	Tokens    []int32
	Targets   []int32   // the next token of the same segment; -1 at its last
	Positions []int32   // within the segment, from 0
	Segments  []int32   // 0 padding, 1… in each row
	Weights   []float32 // of the loss of predicting Targets; 0 where there is none
	Example   []int32   // index of the example, as Sequence has it
	Offset    []int32   // of Targets within the response, from 0; -1 for a prompt token or none
}

// BatchOptions says how sequences are laid out. The weights are taken as they
// are: both 0 is ErrNoTokens.
type BatchOptions struct {
	Rows           int     // B, at least 1
	Length         int     // T in tokens; 0 means that of the longest sequence
	PromptWeight   float32 // of the loss of a prompt token
	ResponseWeight float32 // of the loss of a response token, EOS among them
	NoPacking      bool    // true: one sequence a row
	InOrder        bool    // true: in the order given, every epoch alike; false: shuffled
	Seed           uint64  // of the shuffle; 0 is a seed like any other
}

// Batches lays sequences out in batches, each sequence once an epoch. Its
// methods may be called from many goroutines, and the batches they return
// belong to the caller.
type Batches struct {
	sequences []Sequence
	opts      BatchOptions
	learned   int

	mu     sync.Mutex
	epoch  int     // of the layout
	layout [][]int // rows of indexes into sequences; nil before the first use
}

// NewBatches prepares batches of the sequences, which it keeps and does not
// change. A sequence longer than Length is an error that names its example.
func NewBatches(sequences []Sequence, o BatchOptions) (*Batches, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if len(sequences) == 0 {
		return nil, errors.New("batches: no sequences")
	}
	b := &Batches{sequences: sequences, opts: o}
	for i := range sequences {
		s := &sequences[i]
		if len(s.Tokens) == 0 || s.PromptLen < 0 || s.PromptLen > len(s.Tokens) {
			return nil, fmt.Errorf("batches: example %d: %d tokens with a prompt of %d", s.Example, len(s.Tokens), s.PromptLen)
		}
		if o.Length > 0 && len(s.Tokens) > o.Length {
			return nil, fmt.Errorf("batches: example %d: %d tokens in rows of %d", s.Example, len(s.Tokens), o.Length)
		}
		if o.Length == 0 {
			b.opts.Length = max(b.opts.Length, len(s.Tokens))
		}
		for at := range s.Tokens[1:] {
			if o.weight(s, at+1) > 0 {
				b.learned++
			}
		}
	}
	if b.opts.Rows > maxBatchTokens/b.opts.Length {
		return nil, fmt.Errorf("batches: %d rows of %d tokens: want at most %d tokens in a batch", b.opts.Rows, b.opts.Length, maxBatchTokens)
	}
	if b.learned == 0 {
		return nil, fmt.Errorf("batches of %d examples: %w", len(sequences), ErrNoTokens)
	}
	return b, nil
}

func (o BatchOptions) validate() error {
	var faults []error
	if o.Rows < 1 {
		faults = append(faults, fmt.Errorf("batches: rows: %d: want 1 or more", o.Rows))
	}
	if o.Length < 0 {
		faults = append(faults, fmt.Errorf("batches: length: %d: want 0 or more", o.Length))
	}
	for _, w := range []struct {
		name  string
		value float32
	}{{"prompt weight", o.PromptWeight}, {"response weight", o.ResponseWeight}} {
		if !(w.value >= 0) || math.IsInf(float64(w.value), 1) {
			faults = append(faults, fmt.Errorf("batches: %s: %v: want 0 or more", w.name, w.value))
		}
	}
	return errors.Join(faults...)
}

// weight is the loss weight of the token at the given place of a sequence,
// which is not its first.
func (o BatchOptions) weight(s *Sequence, at int) float32 {
	if at < s.PromptLen {
		return o.PromptWeight
	}
	return o.ResponseWeight
}

// Learned returns how many tokens with a weight above 0 every epoch has.
func (b *Batches) Learned() int { return b.learned }

// Len returns the number of batches of an epoch, from 0.
func (b *Batches) Len(epoch int) int {
	return (len(b.rows(epoch)) + b.opts.Rows - 1) / b.opts.Rows
}

// At returns batch i of an epoch, so that a run can resume anywhere. It panics
// if there is no such batch.
func (b *Batches) At(epoch, i int) Batch {
	rows := b.rows(epoch)
	from := i * b.opts.Rows
	if i < 0 || from >= len(rows) {
		panic(fmt.Sprintf("datasets: no batch %d in epoch %d", i, epoch))
	}
	return b.fill(rows[from:min(from+b.opts.Rows, len(rows))])
}

// Epoch returns the batches of an epoch in order, the same every time.
func (b *Batches) Epoch(epoch int) iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		for i := range b.Len(epoch) {
			if !yield(b.At(epoch, i)) {
				return
			}
		}
	}
}

// fill lays out one batch.
func (b *Batches) fill(rows [][]int) Batch {
	out := newBatch(b.opts.Rows, b.opts.Length)
	for r, row := range rows {
		at := r * out.T
		for k, index := range row {
			s := &b.sequences[index]
			for p, token := range s.Tokens {
				out.Tokens[at], out.Positions[at] = token, int32(p)
				out.Segments[at], out.Example[at] = int32(k+1), int32(s.Example)
				if next := p + 1; next < len(s.Tokens) {
					out.Targets[at], out.Weights[at] = s.Tokens[next], b.opts.weight(s, next)
					if next >= s.PromptLen {
						out.Offset[at] = int32(next - s.PromptLen)
					}
				}
				at++
			}
		}
	}
	return out
}

func newBatch(rows, length int) Batch {
	n := rows * length
	out := Batch{
		B: rows, T: length,
		Tokens: make([]int32, n), Targets: make([]int32, n), Positions: make([]int32, n), Segments: make([]int32, n),
		Weights: make([]float32, n), Example: make([]int32, n), Offset: make([]int32, n),
	}
	for i := range n {
		out.Targets[i], out.Example[i], out.Offset[i] = -1, -1, -1
	}
	return out
}
