package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retort-ml/retort/internal/outbound"
)

// Client downloads from one hub into one cache. Its fields must not change
// while it is used.
type Client struct {
	Endpoint string // address of the hub, without a slash at the end
	Token    string // sent to the endpoint's host alone; "" is none
	Cache    string // directory of all repositories
	Offline  bool   // only what is in the cache
	// Progress is told, from one goroutine at a time, what was received; nil is
	// nobody.
	Progress func(Progress)

	backoff time.Duration // before the first repetition
	stall   time.Duration // longest silence of a server
}

// Progress says how far a file is.
type Progress struct {
	File  string
	Bytes int64 // of the file that are there
	Size  int64 // of the file; -1 if the server did not say
	Done  bool  // it is complete and checked
}

// FromEnv makes a Client of the variables that huggingface_hub reads:
// HF_ENDPOINT, HF_TOKEN or the file that HF_TOKEN_PATH or HF_HOME name,
// HF_HUB_CACHE or HF_HOME, and HF_HUB_OFFLINE.
func FromEnv(getenv func(string) string) (*Client, error) {
	home := getenv("HF_HOME")
	if home == "" {
		base := getenv("XDG_CACHE_HOME")
		if base == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return nil, fmt.Errorf("place of the model cache: %w; set HF_HOME", err)
			}
			base = filepath.Join(user, ".cache")
		}
		home = filepath.Join(base, "huggingface")
	}
	c := &Client{Endpoint: getenv("HF_ENDPOINT"), Cache: getenv("HF_HUB_CACHE"), backoff: 300 * time.Millisecond, stall: time.Minute}
	if c.Cache == "" {
		c.Cache = filepath.Join(home, "hub")
	}
	c.Offline = slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(getenv("HF_HUB_OFFLINE")))
	if c.Endpoint == "" {
		c.Endpoint = "https://huggingface.co"
	}
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("HF_ENDPOINT: %q: want an address such as https://huggingface.co", c.Endpoint)
	}
	var err error
	c.Token, err = token(getenv, home)
	return c, err
}

// token is the user's, from the environment or the file that "hf auth login" writes.
func token(getenv func(string) string, home string) (string, error) {
	text, source := getenv("HF_TOKEN"), "HF_TOKEN"
	if text == "" {
		if source = getenv("HF_TOKEN_PATH"); source == "" {
			source = filepath.Join(home, "token")
		}
		data, err := os.ReadFile(source)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("token of the hub: %w", err)
		}
		text = string(data)
	}
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("token of the hub: %s holds something else", source)
	}
	return text, nil
}

// maxRedirects is how often one request may be sent elsewhere.
const maxRedirects = 10

// http is a client that leaves the endpoint's host without the token. With
// stop, it ends where a redirection says what it leads to.
func (c *Client) http(stop bool) *http.Client {
	return outbound.New(outbound.Options{Offline: c.Offline, PerHost: parallel, Redirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return permanent{fmt.Errorf("redirected more than %d times", maxRedirects)}
		}
		from := via[len(via)-1].URL
		if req.URL.Scheme != "https" && req.URL.Scheme != from.Scheme {
			return permanent{fmt.Errorf("redirected from %s to %q", from.Scheme, req.URL.Scheme)}
		}
		home := c.isHome(req.URL)
		if !home {
			req.Header.Del("Authorization")
		}
		req.Header.Del("Referer")
		if stop && (!home || req.Response.Header.Get("X-Linked-Etag") != "") {
			return http.ErrUseLastResponse
		}
		return nil
	}})
}

// isHome tells whether the address is the endpoint's.
func (c *Client) isHome(u *url.URL) bool {
	e, err := url.Parse(c.Endpoint)
	return err == nil && u.Scheme == e.Scheme && strings.EqualFold(u.Host, e.Host)
}
