package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func get(t *testing.T, c *http.Client, address string) (string, error) {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return string(data), err
}

func TestOffline(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, "http://192.0.2.1:1") // would be asked for the hosts below
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	c := New(Options{Offline: true})
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "[::ffff:127.0.0.1]"} {
		if text, err := get(t, c, "http://"+host+":"+port); err != nil || text != "here" {
			t.Errorf("%s: %q, %v", host, text, err)
		}
	}
	for _, host := range []string{"192.0.2.1", "10.0.0.1", "0.0.0.0", "example.com", "[2001:db8::1]", "169.254.169.254", "[::ffff:10.0.0.1]", "localhost.example.com"} {
		start := time.Now()
		_, err := get(t, c, "http://"+host+":"+port)
		if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), strings.Trim(host, "[]")) || !strings.Contains(err.Error(), "offline: true") {
			t.Errorf("%s: error %v", host, err)
		}
		if time.Since(start) > 5*time.Second {
			t.Errorf("%s: refused after %v", host, time.Since(start))
		}
	}
}

// TestLastWord: even where a lookup and the dialer disagree, the address itself counts.
func TestLastWord(t *testing.T) {
	for address, ok := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "127.9.9.9:1": true, "8.8.8.8:1": false, "nonsense": false} {
		if err := local(t.Context(), "tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	conn, err := Dial(context.Background(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestRedirects(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusTemporaryRedirect)
		case "/near":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		default:
			io.WriteString(w, "there")
		}
	}))
	defer home.Close()
	c := New(Options{})
	if text, err := get(t, c, home.URL+"/near"); err != nil || text != "there" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := get(t, c, home.URL+"/away"); err == nil || elsewhere.Load() != 0 || !strings.Contains(err.Error(), "not followed") {
		t.Errorf("%d requests elsewhere, error %v", elsewhere.Load(), err)
	}
	if _, err := get(t, c, home.URL+"/round"); err == nil || !strings.Contains(err.Error(), "more than 10 times") {
		t.Errorf("error %v", err)
	}
}

// TestConnectionsAreReused: 64 at a time, three rounds, no more than 64 connections.
func TestConnectionsAreReused(t *testing.T) {
	var made atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Millisecond)
		fmt.Fprint(w, "x")
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			made.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := New(Options{PerHost: 64})
	for range 3 {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if _, err := get(t, c, server.URL); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := made.Load(); n > 64 {
		t.Errorf("%d connections", n)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = nil
	defer server.Close()
	if _, err := get(t, New(Options{}), server.URL); err == nil {
		t.Error("a certificate that nobody signed is accepted")
	}
}
