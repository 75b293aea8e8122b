package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"runtime"
	"syscall"
)

// index says where in vault.jsonl the lines of scopes are.
type index struct {
	seed maphash.Seed
	runs map[uint64][]int64 // by hash of the scope's ID, where runs of its lines begin
	end  int64              // what is before was read
	last uint64             // the scope of the line before end, if end is not 0
}

// refresh reads the lines that were appended since the last time. A line without
// its end is being written, or was left by a killed process, and is not read.
func (v *Vault) refresh() error {
	v.indexMu.Lock()
	defer v.indexMu.Unlock()
	return v.eachLine(v.index.end, func(at int64, text []byte) (bool, error) {
		var line struct {
			Scope       *string `json:"scope"`
			Placeholder string  `json:"placeholder"`
		}
		if err := json.Unmarshal(text, &line); err != nil || line.Scope == nil {
			return false, errors.Join(errors.New("not a line of a vault"), err)
		}
		scope := maphash.String(v.index.seed, *line.Scope)
		if at == 0 || scope != v.index.last {
			v.index.runs[scope] = append(v.index.runs[scope], at)
		}
		v.index.last = scope
		v.index.end = at + int64(len(text)) + 1
		return true, nil
	})
}

// lookup returns the originals of a scope by placeholder.
func (v *Vault) lookup(id string) (map[string]string, error) {
	v.indexMu.Lock()
	runs := v.index.runs[maphash.String(v.index.seed, id)]
	v.indexMu.Unlock()
	known := map[string]string{}
	for _, from := range runs {
		err := v.eachLine(from, func(_ int64, text []byte) (bool, error) {
			var line vaultLine
			if err := json.Unmarshal(text, &line); err != nil {
				return false, err
			}
			// Another scope ends the run, but for one of the same hash.
			if line.Scope == id {
				known[line.Placeholder] = line.original()
			}
			return maphash.String(v.index.seed, line.Scope) == maphash.String(v.index.seed, id), nil
		})
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

// readBytes is how much of the vault is read at a time.
const readBytes = 4 << 10

// eachLine calls do for the whole lines of vault.jsonl from a byte on, until it
// returns false.
func (v *Vault) eachLine(from int64, do func(at int64, text []byte) (more bool, err error)) error {
	var buf []byte
	size := readBytes
	for {
		chunk := make([]byte, size)
		n, err := v.file.ReadAt(chunk, from+int64(len(buf)))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		buf = append(buf, chunk[:n]...)
		for {
			line, rest, whole := bytes.Cut(buf, []byte("\n"))
			if !whole {
				break
			}
			more, err := do(from, line)
			if err != nil {
				return fmt.Errorf("%s: byte %d: %w", v.file.Name(), from, err)
			}
			if !more {
				return nil
			}
			from += int64(len(line)) + 1
			buf = rest
		}
		if n < size {
			return nil
		}
		size = min(2*size, 1<<20)
	}
}

// cutTornLine removes a last line that has no end. The caller holds the lock:
// who began it is dead, and never said that it was kept.
func cutTornLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	end := info.Size()
	chunk := make([]byte, readBytes)
	for at := end; at > 0; {
		n := min(at, readBytes)
		if _, err := file.ReadAt(chunk[:n], at-n); err != nil {
			return err
		}
		if k := bytes.LastIndexByte(chunk[:n], '\n'); k >= 0 {
			if keep := at - n + int64(k) + 1; keep < end {
				return file.Truncate(keep)
			}
			return nil
		}
		at -= n
	}
	return file.Truncate(0)
}

// appendSynced appends lines by one write and waits until they are on disk.
func appendSynced(file *os.File, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if _, err := file.Write(lines); err != nil {
		return err
	}
	return file.Sync()
}

// syncDir makes the names in a directory durable, where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot open a directory for syncing
	}
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = file.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // some file systems cannot sync a directory
	}
	return errors.Join(err, file.Close())
}
