package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// settled is how long a file must have been left alone before its hash is
// kept: within a clock tick of the file system, a second write can leave size
// and times as they were.
const settled = 2 * time.Second

// fileStat is what must be unchanged for a file's content to be taken as unchanged.
type fileStat struct {
	Size  int64  `json:"size"`
	Mtime int64  `json:"mtime"` // nanoseconds since 1970
	Ctime int64  `json:"ctime"` // nanoseconds since 1970; 0 where there is none
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
}

type hashEntry struct {
	fileStat
	SHA256 string `json:"sha256"`
}

// fileHashes remembers the hashes of outside files, so that planning does not
// read gigabytes each time. It is a cache: damaged or lost, it is made anew.
type fileHashes struct {
	path    string
	mu      sync.Mutex
	entries map[string]hashEntry // by absolute path; nil until loaded
	dirty   bool
}

// sum returns the SHA-256 and the size of a file, from the cache if its stat
// is unchanged.
func (h *fileHashes) sum(ctx context.Context, path string) (string, int64, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.entries == nil {
		h.entries = readHashes(h.path)
	}
	before, err := statFile(abs)
	if err != nil {
		return "", 0, err
	}
	if e, ok := h.entries[abs]; ok && e.fileStat == before {
		return e.SHA256, e.Size, nil
	}
	now := time.Now()
	sum, size, err := hashFile(ctx, abs)
	if err != nil {
		return "", 0, err
	}
	after, err := statFile(abs)
	if err != nil {
		return "", 0, err
	}
	if before != after || size != before.Size {
		return "", 0, errors.New("changed while it was read")
	}
	limit := now.Add(-settled).UnixNano()
	if before.Mtime < limit && before.Ctime < limit {
		h.entries[abs] = hashEntry{before, sum}
		h.dirty = true
	}
	return sum, size, nil
}

// save adds what was learned to the cache on disk. The caller holds the lock
// that keeps other processes from saving.
func (h *fileHashes) save() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.dirty {
		return nil
	}
	merged := readHashes(h.path)
	maps.Copy(merged, h.entries)
	maps.DeleteFunc(merged, func(path string, _ hashEntry) bool {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
	data, err := json.Marshal(merged)
	if err != nil {
		return err
	}
	if err := removeTemporary(filepath.Dir(h.path)); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(h.path, append(data, '\n')); err != nil {
		return err
	}
	h.entries, h.dirty = merged, false
	return nil
}

// readHashes returns the cache on disk, or an empty one if it cannot be read:
// then hashing takes longer and is no less right.
func readHashes(path string) map[string]hashEntry {
	entries := make(map[string]hashEntry)
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &entries) != nil || entries == nil {
		return make(map[string]hashEntry)
	}
	maps.DeleteFunc(entries, func(_ string, e hashEntry) bool { return !validHash(e.SHA256) })
	return entries
}

// removeTemporary removes what a killed process left of an atomic write in dir.
// The caller holds the lock for writing there.
func removeTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), atomicfile.TempPrefix) && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashFile reads a file once and returns its SHA-256 and how many bytes it has.
func hashFile(ctx context.Context, path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.CopyBuffer(hash, contextReader{ctx, f}, make([]byte, 256<<10))
	if err != nil {
		return "", 0, fmt.Errorf("read: %w", cause(err))
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

// contextReader ends a long read when its context is cancelled.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// cause strips the path that an os error repeats, where the message has it already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
