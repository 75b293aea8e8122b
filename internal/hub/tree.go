package hub

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxPages bounds how long a list may be that comes in pages.
const maxPages = 1000

// treeEntry is what the hub's list of a tree says of a file.
type treeEntry struct {
	Path string `json:"path"`
	OID  string `json:"oid"` // of the git blob
	Size *int64 `json:"size"`
	LFS  *struct {
		OID    string `json:"oid"`
		SHA256 string `json:"sha256"`
		Size   *int64 `json:"size"`
	} `json:"lfs"`
}

// fill asks for the hashes and sizes of the files that the listing says none
// of, all at once. A hub without such a list is no error: each file's header
// says the same.
func (p *pull) fill(ctx context.Context, files []file) []file {
	if !slices.ContainsFunc(files, func(f file) bool { return f.hash == "" || f.size < 0 }) {
		return files
	}
	known := map[string]file{}
	address := p.c.Endpoint + p.ref.api() + "/tree/" + p.commit + "?recursive=true"
	for range maxPages {
		entries, next, err := p.treePage(ctx, address)
		if err != nil {
			break
		}
		for _, e := range entries {
			if f, ok := e.file(); ok {
				known[f.path] = f
			}
		}
		if address = next; address == "" {
			break
		}
	}
	files = slices.Clone(files)
	for i, f := range files {
		if k, ok := known[f.path]; ok && f.hash == "" && f.size < 0 {
			files[i] = k
		}
	}
	return files
}

// file is what the entry says; ok is false if that is no hash and size.
func (e treeEntry) file() (f file, ok bool) {
	f = file{path: e.Path, hash: e.OID, size: -1}
	size := e.Size
	if e.LFS != nil {
		f.hash, size = e.LFS.SHA256, e.LFS.Size
		if f.hash == "" {
			f.hash = strings.TrimPrefix(e.LFS.OID, "sha256:")
		}
		ok = len(f.hash) == 64
	} else {
		ok = len(f.hash) == 40
	}
	f.hash = strings.ToLower(f.hash)
	if size == nil || *size < 0 || !ok || !isHash(f.hash) {
		return f, false
	}
	f.size = *size
	return f, true
}

// treePage is a part of the list, and the address of the next, "" for none.
func (p *pull) treePage(ctx context.Context, address string) (entries []treeEntry, next string, err error) {
	data, header, err := p.c.fetchOnce(ctx, p.whole, address, maxListing)
	if err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, "", err
	}
	return entries, p.nextPage(header), nil
}

// nextPage is the address in a Link header, if it is the endpoint's own.
func (p *pull) nextPage(h http.Header) string {
	for link := range strings.SplitSeq(h.Get("Link"), ",") {
		address, rel, _ := strings.Cut(strings.TrimSpace(link), ";")
		u, err := url.Parse(strings.Trim(address, "<>"))
		if err == nil && strings.TrimSpace(rel) == `rel="next"` && p.c.isHome(u) {
			return u.String()
		}
	}
	return ""
}
