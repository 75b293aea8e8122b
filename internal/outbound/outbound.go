// Package outbound makes every client that this program connects with: the one
// place that decides who may be connected to.
//
// Offline, only addresses of this machine (127.0.0.0/8, ::1, unix sockets) are
// reached. Names are then looked up in the hosts file alone, as a question to a
// name server would leave the machine too, and proxies are not used.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Options say what a client may do. The zero value reaches every host, through
// the proxy that the environment names (HTTPS_PROXY, NO_PROXY), and trusts the
// system's certificates (SSL_CERT_FILE adds to them on Unix).
type Options struct {
	Offline bool // only this machine
	// PerHost is how many connections to a host are kept for the next request; 0 means 4.
	PerHost int
	// Redirect decides about redirections, as http.Client.CheckRedirect does. Nil
	// follows at most ten, none to another host or scheme: nothing that a request
	// carries, keys and texts, goes to somebody it was not meant for.
	Redirect func(req *http.Request, via []*http.Request) error
}

// ErrOffline says that a connection would leave the machine.
var ErrOffline = errors.New("offline: true allows connections to this machine alone")

// New makes a client. Its bodies are not decompressed and not bounded in size:
// who reads them bounds them.
func New(o Options) *http.Client {
	redirect := o.Redirect
	if redirect == nil {
		redirect = stay
	}
	return &http.Client{Transport: transport(o), CheckRedirect: redirect}
}

func transport(o Options) *http.Transport {
	if o.PerHost == 0 {
		o.PerHost = 4
	}
	t := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: 15 * time.Second}).DialContext,

		TLSHandshakeTimeout: 15 * time.Second, IdleConnTimeout: 90 * time.Second,
		MaxIdleConnsPerHost: o.PerHost, DisableCompression: true, ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: 1 << 20,
	}
	if o.Offline {
		t.Proxy, t.DialContext = nil, Dial
	}
	return t
}

// stay refuses redirections to another host or scheme.
func stay(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	if req.URL.Host != from.Host || req.URL.Scheme != from.Scheme {
		return fmt.Errorf("%s redirects to %s://%s, which is not followed", from.Host, req.URL.Scheme, req.URL.Host)
	}
	if len(via) > 10 {
		return fmt.Errorf("%s redirects more than 10 times", from.Host)
	}
	return nil
}

// Dial connects to this machine alone. Its error names the host and is
// ErrOffline for all others.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 15 * time.Second, ControlContext: local}
	if strings.HasPrefix(network, "unix") {
		return dialer.DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	refused := fmt.Errorf("connect to %s: %w", host, ErrOffline)
	for _, ip := range lookup(ctx, host) {
		if !ip.Unmap().IsLoopback() {
			err = errors.Join(err, refused)
			continue
		}
		conn, dialErr := dialer.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if dialErr == nil {
			return conn, nil
		}
		err = errors.Join(err, dialErr)
	}
	if err == nil || ctx.Err() == nil && errors.Is(err, ErrOffline) {
		return nil, refused
	}
	return nil, err
}

// lookup is what the hosts file says of a name; none if it does not know it.
func lookup(ctx context.Context, host string) []netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}
	}
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} // RFC 6761
	}
	r := &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, ErrOffline
	}}
	list, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	return list
}

// local is the last word, on the address that is really connected to.
func local(_ context.Context, network, address string, _ syscall.RawConn) error {
	if strings.HasPrefix(network, "unix") {
		return nil
	}
	if to, err := netip.ParseAddrPort(address); err != nil || !to.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("connect to %s: %w", address, ErrOffline)
	}
	return nil
}
