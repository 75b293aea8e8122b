package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// file is a file of a repository at one commit.
type file struct {
	path string
	hash string // 64 hex digits of SHA-256, or 40 of a git blob's SHA-1; "" if not known yet
	size int64  // -1 if not known
}

// listing is what the hub says of a repository at a revision.
type listing struct {
	commit string
	files  map[string]file
}

const (
	maxListing = 64 << 20 // bytes
	maxFiles   = 200_000
)

// list asks for the files of a repository.
func (p *pull) list(ctx context.Context) (*listing, error) {
	address := p.c.Endpoint + p.ref.api() + "/revision/" + url.PathEscape(p.ref.Revision) + "?blobs=true"
	data, err := p.c.fetchAll(ctx, p.whole, address, maxListing)
	if err != nil {
		return nil, err
	}
	l, err := parseListing(data)
	if err != nil {
		return nil, fmt.Errorf("list of files: %w", err)
	}
	if commitPattern.MatchString(p.ref.Revision) && l.commit != p.ref.Revision {
		return nil, fmt.Errorf("list of files: it is of commit %s", l.commit)
	}
	return l, nil
}

func parseListing(data []byte) (*listing, error) {
	var answer struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
				Size   *int64 `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	if !commitPattern.MatchString(answer.SHA) {
		return nil, fmt.Errorf("sha: %q is no commit", printable(answer.SHA))
	}
	if len(answer.Siblings) > maxFiles {
		return nil, fmt.Errorf("siblings: %d files, more than %d", len(answer.Siblings), maxFiles)
	}
	l := &listing{commit: answer.SHA, files: make(map[string]file, len(answer.Siblings))}
	for i, s := range answer.Siblings {
		if err := checkPath(s.Name); err != nil {
			return nil, fmt.Errorf("siblings[%d].rfilename: %q: %w", i, printable(s.Name), err)
		}
		if _, ok := l.files[s.Name]; ok {
			return nil, fmt.Errorf("siblings[%d].rfilename: %q is there twice", i, s.Name)
		}
		f := file{path: s.Name, hash: s.BlobID, size: -1}
		size := s.Size
		if s.LFS != nil {
			f.hash, size = s.LFS.SHA256, s.LFS.Size
		}
		if size != nil {
			if f.size = *size; f.size < 0 {
				return nil, fmt.Errorf("siblings[%d].size: %d", i, f.size)
			}
		}
		f.hash = strings.ToLower(f.hash)
		if f.hash != "" && !isHash(f.hash) {
			return nil, fmt.Errorf("siblings[%d] %s: %q is no hash", i, s.Name, printable(f.hash))
		}
		l.files[s.Name] = f
	}
	return l, nil
}

var hashPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func isHash(text string) bool { return hashPattern.MatchString(text) }

// address is where a file's content is.
func (p *pull) address(path string) string {
	parts := strings.Split(path, "/")
	for i, s := range parts {
		parts[i] = url.PathEscape(s)
	}
	return p.c.Endpoint + p.ref.files() + "/resolve/" + p.commit + "/" + strings.Join(parts, "/")
}

// describe asks for what the listing did not say of f, its hash and size.
func (p *pull) describe(ctx context.Context, f file) (file, error) {
	if f.hash != "" && f.size >= 0 {
		return f, nil
	}
	for n := 1; ; n++ {
		header, err := p.head(ctx, f.path)
		if err == nil {
			return fromHeader(f, header, p.commit)
		}
		if err := p.c.rest(ctx, n, err); err != nil {
			return f, err
		}
	}
}

// head is the header of a file's content, or of the redirection to it.
func (p *pull) head(ctx context.Context, path string) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, p.c.stall)
	defer cancel()
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		resp, err := p.c.request(ctx, p.upToRedirect, method, p.address(path), nil)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		switch {
		case method == http.MethodHead && (resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusNotImplemented):
		case resp.StatusCode == http.StatusOK:
			return resp.Header, nil
		case resp.StatusCode >= 300 && resp.StatusCode < 400:
			resp.Header.Del("Content-Length") // of the redirection's own text
			return resp.Header, nil
		default:
			return nil, badStatus(resp)
		}
	}
	return nil, permanent{fmt.Errorf("the server answers neither HEAD nor GET")}
}

// fromHeader fills in what a header says of f.
func fromHeader(f file, h http.Header, commit string) (file, error) {
	if c := h.Get("X-Repo-Commit"); c != "" && c != commit {
		return f, fmt.Errorf("the server has it of commit %q, not %s", printable(c), commit)
	}
	tag := h.Get("X-Linked-Etag")
	if tag == "" {
		tag = h.Get("Etag")
	}
	if f.hash == "" {
		f.hash = strings.ToLower(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`))
		if !isHash(f.hash) {
			return f, fmt.Errorf("the server declares no hash of it: its ETag is %q", printable(tag))
		}
	}
	size := h.Get("X-Linked-Size")
	if size == "" {
		size = h.Get("Content-Length")
	}
	if f.size < 0 && size != "" {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 {
			return f, fmt.Errorf("the server declares the size %q of it", printable(size))
		}
		f.size = n
	}
	return f, nil
}
