package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Snapshot is a model or a dataset in the cache.
type Snapshot struct {
	Name     string   `json:"name"`
	Revision string   `json:"revision"`
	Commit   string   `json:"commit"`
	Dir      string   `json:"path"`
	Files    []string `json:"files"` // below Dir, sorted
}

// pull is a download under way.
type pull struct {
	c      *Client
	ref    Ref
	commit string
	root   *os.Root // of the repository in the cache

	whole, upToRedirect *http.Client

	mu          sync.Mutex   // of calls to Progress
	temporaries atomic.Int64 // names given out
}

// parallel is how many files are received at once.
const parallel = 4

// maxIndex is how large an index of shards may be, in bytes.
const maxIndex = 64 << 20

// Pull brings a model's configuration, tokenizer, templates and safetensors
// into the cache, and every file that a pattern of include matches (path.Match,
// of the whole name or, without a slash, its last part). Of a dataset it brings
// the card and the files of rows, or those that match. Files that are there
// and whose hash is right are not fetched again. The revision is recorded once
// everything is there. After an error, cancellation among them, the same call
// continues where it ended.
func (c *Client) Pull(ctx context.Context, ref Ref, include []string) (Snapshot, error) {
	s, err := c.pull(ctx, ref, include)
	if err != nil {
		return Snapshot{}, fmt.Errorf("pull %s: %w", ref, err)
	}
	return s, nil
}

func (c *Client) pull(ctx context.Context, ref Ref, include []string) (s Snapshot, err error) {
	if err := ref.Validate(); err != nil {
		return s, err
	}
	if c.Offline {
		return c.find(ref, include)
	}
	p := &pull{c: c, ref: ref, whole: c.http(false), upToRedirect: c.http(true)}
	defer p.whole.CloseIdleConnections()
	defer p.upToRedirect.CloseIdleConnections()
	l, err := p.list(ctx)
	if err != nil {
		return s, err
	}
	p.commit = l.commit
	choose := l.choose
	if ref.Dataset {
		choose = l.chooseData
	}
	files, err := choose(include)
	if err != nil {
		return s, err
	}
	dir := filepath.Join(c.Cache, ref.folder())
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return s, fmt.Errorf("cache: %w", err)
	}
	if p.root, err = os.OpenRoot(dir); err != nil {
		return s, fmt.Errorf("cache: %w", err)
	}
	defer func() { err = errors.Join(err, p.root.Close()) }()
	if err := p.take(ctx, l, files); err != nil {
		return s, err
	}
	if err := p.record(); err != nil {
		return s, fmt.Errorf("record the revision: %w", err)
	}
	return c.find(ref, include)
}

// take brings the files, then the shards of the index if it is among them.
func (p *pull) take(ctx context.Context, l *listing, files []file) error {
	if err := p.files(ctx, files); err != nil {
		return err
	}
	for _, f := range files {
		if f.path != indexFile {
			continue
		}
		if f.size > maxIndex {
			return fmt.Errorf("%s has %d bytes, more than %d", indexFile, f.size, maxIndex)
		}
		index, err := p.root.ReadFile("snapshots/" + p.commit + "/" + indexFile)
		if err != nil {
			return err
		}
		shards, err := l.shards(index)
		if err != nil {
			return err
		}
		return p.files(ctx, shards)
	}
	return nil
}

// files brings files, several at a time. The first error ends the others.
func (p *pull) files(ctx context.Context, files []file) error {
	files = p.fill(ctx, files)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan file)
	var wg sync.WaitGroup
	for range min(parallel, len(files)) {
		wg.Go(func() {
			for f := range next {
				if err := p.file(ctx, f); err != nil {
					cancel(fmt.Errorf("%s: %w", f.path, err))
				}
			}
		})
	}
	for _, f := range files {
		if ctx.Err() != nil {
			break
		}
		next <- f
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// file brings one file.
func (p *pull) file(ctx context.Context, f file) error {
	f, err := p.describe(ctx, f)
	if err != nil {
		return err
	}
	if err := p.root.MkdirAll("blobs", 0o777); err != nil {
		return err
	}
	if err := p.blob(ctx, f); err != nil {
		return err
	}
	return p.link(f)
}

// tell reports progress.
func (p *pull) tell(f file, have int64, done bool) {
	if p.c.Progress == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.c.Progress(Progress{File: f.path, Bytes: have, Size: f.size, Done: done})
}
