package model

// repetition knows which tokens a sequence has, and penalizes them.
type repetition struct {
	penalty float32
	known   []uint64 // a bit for each token of the vocabulary
	ids     []int32  // the known ones
	change  []float32
	before  []float32
}

// newRepetition makes one for a vocabulary of n tokens.
func newRepetition(penalty float64, n int) *repetition {
	return &repetition{penalty: float32(penalty), known: make([]uint64, (n+63)/64)}
}

// note adds tokens of the sequence.
func (r *repetition) note(tokens ...int32) {
	for _, id := range tokens {
		if bit := uint64(1) << (id % 64); r.known[id/64]&bit == 0 {
			r.known[id/64] |= bit
			r.ids = append(r.ids, id)
		}
	}
}

// read finds what the penalty changes in a row of logits: it depends on their
// signs, which log-probabilities do not have.
func (r *repetition) read(logits []float32) {
	r.change = r.change[:0]
	for _, id := range r.ids {
		v := logits[id]
		p := v / r.penalty
		if v < 0 {
			p = v * r.penalty
		}
		if p -= v; p != p {
			p = 0 // −Inf stays what it is
		}
		r.change = append(r.change, p)
	}
}

// apply changes the scores of the same row, which undo restores.
func (r *repetition) apply(scores []float32) {
	r.before = r.before[:0]
	for i, id := range r.ids {
		r.before = append(r.before, scores[id])
		scores[id] += r.change[i]
	}
}

func (r *repetition) undo(scores []float32) {
	for i, v := range r.before {
		scores[r.ids[i]] = v
	}
}
