package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	maxReply = 16 << 20 // bytes of what a batch API says of batches
	maxLine  = 64 << 20 // bytes of one result
)

// fetch makes one request of a batch API. Whoever calls it closes the body.
func (c *Client) fetch(ctx context.Context, method, path, kind string, body []byte) (*http.Response, *failure) {
	req, err := http.NewRequestWithContext(ctx, method, c.o.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, &failure{verdict: stop, unpaid: true, err: err}
	}
	c.header(req.Header)
	if kind == "" {
		req.Header.Del("Content-Type")
	} else {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &failure{verdict: again, err: err}
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of the message
		f := statusFailure(resp.StatusCode, resp.Header, c.hide(data), time.Now())
		if f.verdict == refuse {
			f.verdict = stop
		}
		return nil, f
	}
	return resp, nil
}

// once is the whole reply to one request.
func (c *Client) once(ctx context.Context, method, path, kind string, body []byte, into any) *failure {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	resp, f := c.fetch(ctx, method, path, kind, body)
	if f != nil {
		return f
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err == nil {
		err = decode(c.hide(data), into)
	}
	if err != nil {
		return &failure{verdict: again, err: err}
	}
	return nil
}

// repeat makes a request until it succeeds, cannot, or took too long. before, if
// not nil, is asked before each repetition whether it is still needed.
func (c *Client) repeat(ctx context.Context, try func() *failure, before func() (bool, error)) error {
	k := call{Client: c}
	k.sending = ctx
	start := time.Now()
	for n := 1; ; n++ {
		f := try()
		switch {
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case f.verdict != again, !f.busy && n > *c.o.Retries, time.Since(start)+f.wait > c.o.RetryFor:
			return f.err
		}
		if !k.rest(k.pause(n, f)) {
			return ctx.Err()
		}
		if before != nil && !f.unpaid {
			if over, err := before(); over || err != nil {
				return err
			}
		}
	}
}

// get is the reply to a GET.
func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.repeat(ctx, func() *failure { return c.once(ctx, http.MethodGet, path, "", nil, into) }, nil)
}

// lines calls each with every line of a file of results. A connection that is
// cut begins anew: each must bear lines again. An error of each ends it.
func (c *Client) lines(ctx context.Context, path string, each func(line []byte) error) error {
	return c.repeat(ctx, func() *failure {
		resp, f := c.fetch(ctx, http.MethodGet, path, "", nil)
		if f != nil {
			return f
		}
		defer resp.Body.Close()
		s := bufio.NewScanner(resp.Body)
		s.Buffer(make([]byte, 64<<10), maxLine)
		for s.Scan() {
			if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 {
				if err := each(c.hide(bytes.Clone(line))); err != nil {
					return &failure{verdict: stop, err: err}
				}
			}
		}
		switch err := s.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			return &failure{verdict: stop, err: fmt.Errorf("a result has more than %d bytes", maxLine)}
		case err != nil:
			return &failure{verdict: again, err: err}
		}
		return nil
	}, nil)
}
