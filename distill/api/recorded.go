package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"

	"github.com/retort-ml/retort/distill"
)

// Record is an answer that somebody has asked for before.
type Record struct {
	Prompt   string
	Messages string // JSON array; empty means that Prompt is all
	Answer   distill.Answer
}

// Recorded is a teacher that looks answers up. Several records of one question
// are its samples, in their order. It holds them in memory, and may be used
// from many goroutines at once.
type Recorded struct {
	name    string // with a hash of all records
	answers map[[sha256.Size]byte][]distill.Answer
}

var _ distill.Teacher = (*Recorded)(nil)

// NewRecorded makes a teacher of records; name says where they are from. The
// first error of records is returned.
func NewRecorded(name string, records iter.Seq2[Record, error]) (*Recorded, error) {
	t := &Recorded{answers: map[[sha256.Size]byte][]distill.Answer{}}
	all := sha256.New()
	n := 0
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		key, err := questionKey(r.Prompt, r.Messages)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", n, err)
		}
		a := r.Answer
		if a.Finish == "" {
			a.Finish = ended(&a)
		}
		t.answers[key] = append(t.answers[key], a)
		all.Write(key[:])
		for _, s := range []string{a.Text, a.Reasoning, a.ToolCalls, a.Finish} {
			add(all, s)
		}
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("%s: there are no recorded answers", name)
	}
	t.name = fmt.Sprintf("recorded %s %s", name, hex.EncodeToString(all.Sum(nil)))
	return t, nil
}

// questionKey identifies a question: its messages however they are spaced, else
// its prompt.
func questionKey(prompt, messages string) (key [sha256.Size]byte, err error) {
	h := sha256.New()
	if messages == "" {
		add(h, "prompt")
		add(h, prompt)
		return [sha256.Size]byte(h.Sum(nil)), nil
	}
	d := json.NewDecoder(strings.NewReader(messages))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return key, fmt.Errorf("messages: %w", err)
	}
	sorted, err := json.Marshal(v)
	if err != nil {
		return key, err
	}
	add(h, "messages")
	add(h, string(bytes.TrimSpace(sorted)))
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// add hashes s after its length.
func add(h hash.Hash, s string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	io.WriteString(h, s)
}

// Identity names the records and the hash of what they say.
func (t *Recorded) Identity() string { return t.name }

// Samples is how many answers to the question there are.
func (t *Recorded) Samples(r *distill.Request) int {
	key, err := questionKey(r.Prompt, r.Messages)
	if err != nil {
		return 0
	}
	return len(t.answers[key])
}

// Answer looks requests up, one after another. A question without so many
// answers gets FinishFailed. Limits, sampling and seeds have no meaning here.
func (t *Recorded) Answer(ctx context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, r := range requests {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a, err := t.look(&r)
		if err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		if err := done(i, a); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (t *Recorded) look(r *distill.Request) (distill.Answer, error) {
	if r.Given != nil {
		return distill.Answer{}, errors.New("recorded answers do not score given responses")
	}
	key, err := questionKey(r.Prompt, r.Messages)
	if err != nil {
		return distill.Answer{Finish: distill.FinishFailed, Error: err.Error()}, nil
	}
	list := t.answers[key]
	if r.Sample >= len(list) {
		return distill.Answer{Finish: distill.FinishFailed,
			Error: fmt.Sprintf("%d answers are recorded to the prompt that begins %q; wanted number %d", len(list), short(r.Prompt[:min(len(r.Prompt), 80)]), r.Sample+1)}, nil
	}
	a := clone(list[r.Sample])
	if r.TopK > 0 && len(a.Pieces) == 0 {
		return a, errors.New("the recorded answers have no log-probabilities: top_k")
	}
	return a, nil
}
