package datasets

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
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
	PromptWeight   float32 // of the loss of a token that is not learned: a prompt's, and those of all but the learned turns
	ResponseWeight float32 // of the loss of a learned token, EOS among them
	NoPacking      bool    // true: one sequence a row
	InOrder        bool    // true: in the order given, every epoch alike; false: shuffled
	Seed           uint64  // of the shuffle; 0 is a seed like any other
}

// Sequences are sequences that need not all be in memory. They are read by many
// goroutines at once.
type Sequences interface {
	Len() int       // at most 2³²−1
	Size(i int) int // tokens of sequence i, without reading it
	// Read fills s with sequence i, in the slices that s has if they are large enough.
	Read(i int, s *Sequence) error
	// Totals counts the tokens of all, and those that are learned.
	Totals() (tokens, learned int64)
}

// memorySequences are in memory.
type memorySequences struct {
	list            []Sequence
	tokens, learned int64
}

// InMemory is sequences that are in memory. An error names the example.
func InMemory(sequences []Sequence) (Sequences, error) {
	m := &memorySequences{list: sequences}
	for i := range sequences {
		s := &sequences[i]
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("example %d: %w", s.Example, err)
		}
		m.tokens += int64(len(s.Tokens))
		m.learned += int64(s.LearnedTokens())
	}
	return m, nil
}

func (m *memorySequences) Len() int               { return len(m.list) }
func (m *memorySequences) Size(i int) int         { return len(m.list[i].Tokens) }
func (m *memorySequences) Totals() (int64, int64) { return m.tokens, m.learned }
func (m *memorySequences) Read(i int, s *Sequence) error {
	*s = m.list[i]
	return nil
}

// Batches lays sequences out in batches, each sequence once an epoch. Its
// methods may be called from many goroutines, and the batches they return
// belong to the caller.
type Batches struct {
	sequences Sequences
	opts      BatchOptions
	learned   int

	mu     sync.Mutex
	layout layout
}

// NewBatches prepares batches of the sequences, which it keeps and does not
// change. A sequence longer than Length is an error that names its example.
func NewBatches(sequences []Sequence, o BatchOptions) (*Batches, error) {
	list, err := InMemory(sequences)
	if err != nil {
		return nil, fmt.Errorf("batches: %w", err)
	}
	return NewBatchesOf(list, o)
}

// NewBatchesOf is NewBatches of sequences that need not be in memory. It takes
// up to 20 bytes for each while it lays out an epoch.
func NewBatchesOf(sequences Sequences, o BatchOptions) (*Batches, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if sequences.Len() == 0 {
		return nil, errors.New("batches: no sequences")
	}
	if uint64(sequences.Len()) > math.MaxUint32 {
		return nil, fmt.Errorf("batches: %d sequences: want at most %d", sequences.Len(), uint32(math.MaxUint32))
	}
	b := &Batches{sequences: sequences, opts: o}
	for i := range sequences.Len() {
		size := sequences.Size(i)
		if o.Length > 0 && size > o.Length {
			return nil, b.tooLong(i)
		}
		if o.Length == 0 {
			b.opts.Length = max(b.opts.Length, size)
		}
	}
	if b.opts.Rows > maxBatchTokens/b.opts.Length {
		return nil, fmt.Errorf("batches: %d rows of %d tokens: want at most %d tokens in a batch", b.opts.Rows, b.opts.Length, maxBatchTokens)
	}
	tokens, learned := sequences.Totals()
	if o.ResponseWeight > 0 {
		b.learned += int(learned)
	}
	if o.PromptWeight > 0 {
		b.learned += int(tokens-learned) - sequences.Len() // nothing predicts a first token
	}
	if b.learned == 0 {
		return nil, fmt.Errorf("batches of %d examples: %w", sequences.Len(), ErrNoTokens)
	}
	return b, nil
}

// tooLong names the example of a sequence that no row has room for.
func (b *Batches) tooLong(i int) error {
	var s Sequence
	if err := b.sequences.Read(i, &s); err != nil {
		return fmt.Errorf("batches: %w", err)
	}
	return fmt.Errorf("batches: example %d: %d tokens in rows of %d", s.Example, len(s.Tokens), b.opts.Length)
}

// check tells what is wrong with a sequence.
func (s *Sequence) check() error {
	switch {
	case len(s.Tokens) == 0 || s.PromptLen < 0 || s.PromptLen > len(s.Tokens):
		return fmt.Errorf("%d tokens with a prompt of %d", len(s.Tokens), s.PromptLen)
	case s.Learned != nil && len(s.Learned) != len(s.Tokens):
		return fmt.Errorf("%d tokens of which %d are marked as learned or not", len(s.Tokens), len(s.Learned))
	case !(s.Weight >= 0) || math.IsInf(float64(s.Weight), 1):
		return fmt.Errorf("weight %v: want 0 or more", s.Weight)
	}
	return nil
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
	w := o.PromptWeight
	if s.Learns(at) {
		w = o.ResponseWeight
	}
	if s.Weight != 0 {
		w *= s.Weight
	}
	return w
}

// Learned returns how many tokens with a weight above 0 every epoch has.
func (b *Batches) Learned() int { return b.learned }

// Len returns the number of batches of an epoch, from 0.
func (b *Batches) Len(epoch int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return (b.arranged(epoch).rows() + b.opts.Rows - 1) / b.opts.Rows
}

// Fill returns how many tokens an epoch has of its rows' places, from 0 to 1.
func (b *Batches) Fill(epoch int) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	tokens, _ := b.sequences.Totals()
	return float64(tokens) / (float64(b.arranged(epoch).rows()) * float64(b.opts.Length))
}

// At returns batch i of an epoch, so that a run can resume anywhere. It panics
// if there is no such batch. Errors are those of reading sequences.
func (b *Batches) At(epoch, i int) (Batch, error) {
	rows := b.rows(epoch, i)
	out := newBatch(b.opts.Rows, b.opts.Length)
	var s Sequence
	for r, row := range rows {
		at := r * out.T
		for k, index := range row {
			if err := b.sequences.Read(int(index), &s); err != nil {
				return Batch{}, fmt.Errorf("batch %d of epoch %d: %w", i, epoch, err)
			}
			b.put(&out, at, int32(k+1), &s)
			at += len(s.Tokens)
		}
	}
	return out, nil
}

// rows copies the rows of a batch out of the layout, which the next epoch reuses.
func (b *Batches) rows(epoch, i int) [][]uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.arranged(epoch)
	from := i * b.opts.Rows
	if i < 0 || from >= l.rows() {
		panic(fmt.Sprintf("datasets: no batch %d in epoch %d", i, epoch))
	}
	var list [][]uint32
	for r := from; r < min(from+b.opts.Rows, l.rows()); r++ {
		list = append(list, slices.Clone(l.at(r)))
	}
	return list
}

// Epoch returns the batches of an epoch in order, the same every time, up to
// the first error.
func (b *Batches) Epoch(epoch int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for i := range b.Len(epoch) {
			if batch, err := b.At(epoch, i); !yield(batch, err) || err != nil {
				return
			}
		}
	}
}

// put lays a sequence out from place at on, as one segment.
func (b *Batches) put(out *Batch, at int, segment int32, s *Sequence) {
	for p, token := range s.Tokens {
		out.Tokens[at], out.Positions[at] = token, int32(p)
		out.Segments[at], out.Example[at] = segment, int32(s.Example)
		if next := p + 1; next < len(s.Tokens) {
			out.Targets[at], out.Weights[at] = s.Tokens[next], b.opts.weight(s, next)
			if next >= s.PromptLen {
				out.Offset[at] = int32(next - s.PromptLen)
			}
		}
		at++
	}
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
