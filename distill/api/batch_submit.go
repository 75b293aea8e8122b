package api

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"time"

	"github.com/retort-ml/retort/distill"
)

// submitMissing hands in every wanted request that is not under way.
func (k *batchCall) submitMissing(ctx context.Context) error {
	_, maxBytes := k.api.limits()
	var keys []string
	var lines [][]byte
	var most distill.Money
	size := 0
	flush := func() error {
		err := k.submit(ctx, keys, lines, most)
		keys, lines, most, size = nil, nil, 0, 0
		return err
	}
	for _, key := range k.order {
		w := k.wanted[key]
		if w == nil || k.covered[key] {
			continue
		}
		body, err := k.c.o.encode(k.c.wire, &w.r)
		var bound worst
		if err == nil {
			bound, err = k.c.o.worst(body, &w.r)
		}
		if err != nil {
			if err := k.fail(key, err); err != nil {
				return err
			}
			continue
		}
		line, err := k.api.line(key, body)
		if err != nil {
			return err
		}
		if len(keys) > 0 && (len(keys) == k.o.MaxRequests || size+len(line)+1 > maxBytes) {
			if err := flush(); err != nil {
				return err
			}
		}
		keys, lines, size = append(keys, key), append(lines, line), size+len(line)+1
		most += k.c.o.batchCost(distill.Usage{PromptTokens: bound.prompt, AnswerTokens: bound.answer})
		w.rounds++
	}
	if len(keys) == 0 {
		return nil
	}
	return flush()
}

// batchCost is the price of tokens in a batch.
func (o *Options) batchCost(u distill.Usage) distill.Money {
	if o.Price == nil {
		return 0
	}
	return o.Price.Cost(u, true)
}

// submit reserves, records and makes one batch, in this order.
func (k *batchCall) submit(ctx context.Context, keys []string, lines [][]byte, most distill.Money) error {
	s := Submission{Teacher: k.Identity(), Keys: keys, Created: time.Now().UTC(), Most: most}
	s.Marker = marker(&s)
	if k.c.purse != nil && most > 0 {
		var err error
		if s.Reservation, err = k.c.purse.Reserve(ctx, most); err != nil {
			return err
		}
	}
	if err := k.ledger.Save(ctx, s); err != nil {
		return err
	}
	var err error
	if s.Batch, err = k.api.submit(ctx, &s, lines); err != nil {
		return err // it stays in the ledger: the next run looks whether it came to be
	}
	// Under way from here, though ctx may have ended meanwhile.
	k.begin(s)
	return k.ledger.Save(context.WithoutCancel(ctx), s)
}

// marker names a submission by its requests and time.
func marker(s *Submission) string {
	h := sha256.New()
	for _, key := range s.Keys {
		io.WriteString(h, key)
	}
	var t [8]byte
	binary.LittleEndian.PutUint64(t[:], uint64(s.Created.UnixNano()))
	h.Write(t[:])
	return hex.EncodeToString(h.Sum(nil)[:16])
}
