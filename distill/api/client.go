package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/outbound"
)

// Access is what a client needs besides its options, and what no recipe holds.
type Access struct {
	Key     string        // "" sends none
	Offline bool          // only servers of this machine
	Purse   distill.Purse // pays; nil means that nothing is reserved
}

// Client is a teacher behind a server. It is for one call at a time.
type Client struct {
	o       Options // with defaults
	wire    wire
	key     string
	http    *http.Client
	purse   distill.Purse
	limits  *limits
	tally   *tally
	address string        // of answers
	backoff time.Duration // before the first repetition
}

var _ distill.Teacher = (*Client)(nil)

// New makes a client; it does not connect yet.
func New(o Options, a Access) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := checkKey(a.Key); err != nil {
		return nil, fmt.Errorf("key_env: %w", err)
	}
	o = o.WithDefaults()
	c := &Client{o: o, wire: newWire(o), key: a.Key, purse: a.Purse, limits: newLimits(&o), tally: newTally(), backoff: time.Second}
	c.address = o.BaseURL + c.wire.path()
	c.http = outbound.New(outbound.Options{Offline: a.Offline, PerHost: o.Concurrency,
		Redirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	return c, nil
}

// checkKey refuses what no header can carry, such as the end of a line that came
// from a file. It does not repeat the key.
func checkKey(key string) error {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the variable holds spaces, ends of lines or other characters that no key has")
	}
	return nil
}

// Identity names the API, its address, the model, and what of every request is fixed.
func (c *Client) Identity() string { return c.o.identity() }

// Stats are of all calls so far. It may be called at any time.
func (c *Client) Stats() Stats { return c.tally.stats() }

// header is of every request.
func (c *Client) header(h http.Header) {
	h.Set("User-Agent", "retort")
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json")
	if c.o.Stream {
		h.Set("Accept", "text/event-stream, application/json")
	}
	if c.o.API == Anthropic {
		h.Set("Anthropic-Version", c.o.APIVersion)
	}
	if c.key != "" {
		c.wire.key(h, c.key)
	}
}

// hide takes the key out of what a server says, should it repeat it. Keys
// shorter than eight bytes are no secret, and parts of words.
func (c *Client) hide(data []byte) []byte {
	if len(c.key) < 8 {
		return data
	}
	return bytes.ReplaceAll(data, []byte(c.key), []byte("[key]"))
}
