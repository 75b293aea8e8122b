package hub

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// lock holds the file that huggingface_hub locks while it writes a blob, until
// unlock is called. The file stays: another process may be waiting for it.
func (p *pull) lock(ctx context.Context, hash string) (unlock func() error, err error) {
	dir := filepath.Join(p.c.Cache, ".locks", p.ref.folder())
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, hash+".lock"), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for {
		ok, err := flock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if ok {
			return f.Close, nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
