package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
)

// partSuffix ends the name of a blob that is not complete, as huggingface_hub
// has it.
const partSuffix = ".incomplete"

// blob makes sure that the content of f is in the cache, checked.
func (p *pull) blob(ctx context.Context, f file) (err error) {
	unlock, err := p.lock(ctx, f.hash)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	name := "blobs/" + f.hash
	wrong, err := p.differs(ctx, name, f)
	if err == nil && wrong == nil {
		p.tell(f, p.sizeOf(name), true)
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for range 2 {
		if err := p.fetch(ctx, f, name+partSuffix); err != nil {
			return err
		}
		if wrong, err = p.differs(ctx, name+partSuffix, f); err != nil {
			return err
		}
		if wrong == nil {
			if err := p.root.Rename(name+partSuffix, name); err != nil {
				return err
			}
			p.tell(f, p.sizeOf(name), true)
			return nil
		}
		if err := p.root.Remove(name + partSuffix); err != nil {
			return err
		}
	}
	return fmt.Errorf("wrong content, twice: %w", wrong)
}

// differs says how the content at name differs from what the server declared
// of f; wrong is nil if it does not.
func (p *pull) differs(ctx context.Context, name string, f file) (wrong, err error) {
	in, err := p.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s in the cache is no regular file", name)
	}
	if f.size >= 0 && info.Size() != f.size {
		return fmt.Errorf("it has %d bytes, the server declares %d", info.Size(), f.size), nil
	}
	var h hash.Hash
	if len(f.hash) == sha256.Size*2 {
		h = sha256.New()
	} else {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", info.Size()) // how git names contents
	}
	if _, err := io.Copy(h, &cancelled{ctx, in}); err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.hash {
		return fmt.Errorf("its hash is %s, the server declares %s", got, f.hash), nil
	}
	return nil, nil
}

// cancelled reads until the context ends.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

func (p *pull) sizeOf(name string) int64 {
	info, err := p.root.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}
