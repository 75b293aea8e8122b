package distill

import (
	"context"
	"fmt"
	"slices"
)

// Stats counts what Collect did.
type Stats struct {
	Requests     int // asked for
	Cached       int // of those, answered from the store
	Fresh        int // answered by the teacher now
	Repeated     int // equal to an earlier request of the call
	PromptTokens int // of the fresh answers
	AnswerTokens int // of the fresh answers
}

// Collect returns the answers to requests, in their order. The teacher is asked
// only for what the store does not hold, once for equal requests, and each of
// its answers is stored before it counts: after any error or kill, calling
// again goes on from there. progress, if not nil, hears how many requests are
// answered, in calls that do not overlap.
func Collect(ctx context.Context, store *Store, teacher Teacher, requests []Request, progress func(done, total int)) ([]Answer, Stats, error) {
	stats := Stats{Requests: len(requests)}
	identity := teacher.Identity()
	places := map[Key][]int{} // of equal requests
	var keys []Key            // one each, in order
	for i, r := range requests {
		if err := r.Validate(); err != nil {
			return nil, stats, fmt.Errorf("request %d: %w", i, err)
		}
		key := r.Key(identity)
		if places[key] == nil {
			keys = append(keys, key)
		}
		places[key] = append(places[key], i)
	}
	stats.Repeated = len(requests) - len(keys)
	found, err := store.Get(ctx, keys)
	if err != nil {
		return nil, stats, err
	}
	answers := make([]Answer, len(requests))
	answered := 0
	settle := func(key Key, a Answer) {
		for _, i := range places[key] {
			answers[i] = a
		}
		answered += len(places[key])
		if progress != nil {
			progress(answered, len(requests))
		}
	}
	var missing []Request
	var missingKeys []Key
	for _, key := range keys {
		if a, ok := found[key]; ok {
			stats.Cached++
			settle(key, a)
			continue
		}
		missing = append(missing, requests[places[key][0]])
		missingKeys = append(missingKeys, key)
	}
	if len(missing) == 0 {
		return answers, stats, nil
	}
	err = teacher.Answer(ctx, slices.All(missing), func(i int, a Answer) error {
		kept, err := store.Put(ctx, identity, missing[i], a)
		if err != nil {
			return err
		}
		stats.Fresh++
		stats.PromptTokens += a.PromptTokens
		stats.AnswerTokens += len(a.Tokens)
		settle(missingKeys[i], kept)
		return nil
	})
	if err == nil && stats.Fresh != len(missing) {
		err = fmt.Errorf("it answered %d of %d requests", stats.Fresh, len(missing))
	}
	if err != nil {
		return nil, stats, fmt.Errorf("ask teacher %s: %w", identity, err)
	}
	return answers, stats, nil
}
