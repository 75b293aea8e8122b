package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// anthropicBatches is Anthropic's batch API.
type anthropicBatches struct{ c *Client }

func (anthropicBatches) limits() (requests, bytes int) { return 100_000, 100 << 20 } // of 256 MB, as they are held in memory

func (anthropicBatches) line(key string, body []byte) ([]byte, error) {
	return marshal(struct {
		ID     string          `json:"custom_id"`
		Params json.RawMessage `json:"params"`
	}{key, body})
}

type anthropicBatch struct {
	ID      string         `json:"id"`
	Status  string         `json:"processing_status"`
	Created time.Time      `json:"created_at"`
	Cancel  *time.Time     `json:"cancel_initiated_at"`
	Counts  map[string]int `json:"request_counts"`
}

func (b anthropicBatches) submit(ctx context.Context, s *Submission, lines [][]byte) (string, error) {
	body := slicesJoin(`{"requests":[`, lines, `]}`)
	var made anthropicBatch
	err := b.c.repeat(ctx, func() *failure {
		return b.c.once(ctx, http.MethodPost, "/messages/batches", "application/json", body, &made)
	}, func() (over bool, err error) {
		made.ID, err = b.find(ctx, s, func(string) bool { return false })
		return made.ID != "", err
	})
	if err == nil && made.ID == "" {
		err = errors.New("the server names no batch")
	}
	return made.ID, err
}

func slicesJoin(before string, lines [][]byte, after string) []byte {
	return append(append([]byte(before), bytes.Join(lines, []byte(","))...), after...)
}

// find looks for a batch of as many requests, made since then. Anthropic keeps
// no marker: if the results are then of other requests, ours are handed in again.
func (b anthropicBatches) find(ctx context.Context, s *Submission, known func(string) bool) (string, error) {
	since := s.Created.Add(-time.Minute) // clocks differ
	after := ""
	for {
		var page struct {
			Data []anthropicBatch `json:"data"`
			More bool             `json:"has_more"`
			Last string           `json:"last_id"`
		}
		if err := b.c.get(ctx, "/messages/batches?limit=100"+after, &page); err != nil {
			return "", err
		}
		old := false
		for _, o := range page.Data {
			n := 0
			for _, count := range o.Counts {
				n += count
			}
			old = o.Created.Before(since)
			if !old && n == len(s.Keys) && !known(o.ID) {
				return o.ID, nil
			}
		}
		if !page.More || old || page.Last == "" {
			return "", nil
		}
		after = "&after_id=" + url.QueryEscape(page.Last)
	}
}

func (b anthropicBatches) look(ctx context.Context, batch string) (batchState, error) {
	var o anthropicBatch
	if err := b.c.get(ctx, "/messages/batches/"+url.PathEscape(batch), &o); err != nil {
		return batchState{}, err
	}
	state := batchState{batch: batch}
	switch o.Status {
	case "ended":
		state.over, state.canceled = true, o.Cancel != nil
	case "in_progress", "canceling":
	default:
		return state, fmt.Errorf("processing_status: %q is unknown", short(o.Status))
	}
	return state, nil
}

func (b anthropicBatches) results(ctx context.Context, state batchState, each func(result) error) error {
	return b.c.lines(ctx, "/messages/batches/"+url.PathEscape(state.batch)+"/results", func(line []byte) error {
		if r, ok := readAnthropicLine(line); ok {
			return each(r)
		}
		return nil
	})
}

func readAnthropicLine(line []byte) (result, bool) {
	var l struct {
		ID     string `json:"custom_id"`
		Result struct {
			Type    string          `json:"type"`
			Message json.RawMessage `json:"message"`
			Error   json.RawMessage `json:"error"`
		} `json:"result"`
	}
	if json.Unmarshal(line, &l) != nil || l.ID == "" {
		return result{}, false
	}
	r := result{key: l.ID}
	switch l.Result.Type {
	case "succeeded":
		r.body = l.Result.Message
	case "errored":
		e := readError(l.Result.Error)
		var wrapped struct {
			Error json.RawMessage `json:"error"`
		}
		if json.Unmarshal(l.Result.Error, &wrapped) == nil && given(wrapped.Error) {
			e = readError(wrapped.Error)
		}
		r.failed = &failure{verdict: again, err: errorInside{e}}
		if e.Type == "invalid_request_error" || e.Type == "request_too_large" {
			r.failed.verdict = refuse
		}
	default: // canceled, expired
		r.failed = &failure{verdict: again, err: errors.New("the batch ended before it was answered")}
	}
	return r, true
}
