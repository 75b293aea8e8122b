package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// permanent is an error that asking again would not change.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// statusError is an answer other than what was asked for.
type statusError struct {
	status  int
	message string        // the hub's own, for people
	wait    time.Duration // that the server asks for; 0 if it does not
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the server answers %d %s", e.status, http.StatusText(e.status))
	if e.message != "" {
		text += fmt.Sprintf(" (%s)", e.message)
	}
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += ": it may need a token, in HF_TOKEN, of somebody who was given access"
	case http.StatusNotFound:
		text += ": there is no such model or dataset, revision or file, or it is private and needs a token in HF_TOKEN"
	}
	return text
}

// again tells whether the same request may succeed later.
func (e *statusError) again() bool {
	switch e.status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// badStatus makes an error of an answer.
func badStatus(resp *http.Response) error {
	e := &statusError{status: resp.StatusCode, wait: retryAfter(resp.Header.Get("Retry-After"))}
	e.message = printable(resp.Header.Get("X-Error-Message"))
	return e
}

// printable is what a server says, safe to be shown on a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	return text[:min(len(text), 200)]
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(text string) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

const (
	tries    = 5               // of a request that brings nothing
	longWait = 2 * time.Minute // what nobody waits for on a server's word
)

// rest waits before the try after the n-th that failed with err, or returns err
// if there is none.
func (c *Client) rest(ctx context.Context, n int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var p permanent
	var s *statusError
	isStatus := errors.As(err, &s)
	if errors.As(err, &p) || isStatus && !s.again() || n >= tries {
		return err
	}
	wait := c.backoff << (n - 1)
	if isStatus && s.wait > 0 {
		if wait = s.wait; wait > longWait {
			return fmt.Errorf("%w: it asks to wait %s", err, wait.Round(time.Second))
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// request is one try. The caller closes the body.
func (c *Client) request(ctx context.Context, h *http.Client, method, address string, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, permanent{err}
	}
	req.Header.Set("User-Agent", "retort")
	req.Header.Set("Accept-Encoding", "identity") // sizes and ranges are the file's own
	if c.Token != "" && c.isHome(req.URL) {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := h.Do(req)
	var u *url.Error
	if errors.As(err, &u) && u.Err != nil {
		err = fmt.Errorf("%s: %w", req.URL.Host, u.Err) // without the address, which may be a signed one
	}
	return resp, err
}

// fetchAll is the whole answer to a GET, of at most limit bytes.
func (c *Client) fetchAll(ctx context.Context, h *http.Client, address string, limit int64) ([]byte, error) {
	for n := 1; ; n++ {
		data, _, err := c.fetchOnce(ctx, h, address, limit)
		if err == nil {
			return data, nil
		}
		if err := c.rest(ctx, n, err); err != nil {
			return nil, err
		}
	}
}

func (c *Client) fetchOnce(ctx context.Context, h *http.Client, address string, limit int64) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.stall)
	defer cancel()
	resp, err := c.request(ctx, h, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, badStatus(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, nil, permanent{fmt.Errorf("the answer has more than %d bytes", limit)}
	}
	return data, resp.Header, err
}
