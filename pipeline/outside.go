package pipeline

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// OutsideFile is a file that a stage reads and no stage made.
type OutsideFile struct {
	Entry  int    `json:"entry"`                  // which of the stage's Files it belongs to, from 0
	InDir  bool   `json:"in_directory,omitempty"` // that entry is a directory
	Name   string `json:"name"`                   // base name, or the slash path below the directory
	Size   int64  `json:"size"`                   // bytes
	SHA256 string `json:"sha256"`                 // 64 hex digits
}

// outsideFiles reads what the paths hold, in the order given and, within a
// directory, by name.
func outsideFiles(ctx context.Context, hashes *fileHashes, paths []string) ([]OutsideFile, error) {
	var out []OutsideFile
	for i, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", p, cause(err))
		}
		r := outsideReader{ctx: ctx, hashes: hashes, entry: i, inDir: info.IsDir()}
		if info.IsDir() {
			err = r.dir(p, "", []os.FileInfo{info})
			if err == nil && len(r.found) == 0 {
				err = fmt.Errorf("directory %s: holds no files", p)
			}
		} else {
			err = r.file(p, filepath.Base(p), info)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r.found...)
	}
	return out, nil
}

type outsideReader struct {
	ctx    context.Context
	hashes *fileHashes
	entry  int
	inDir  bool
	found  []OutsideFile
}

func (r *outsideReader) file(p, name string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("file %s: not a regular file (%s)", p, info.Mode().Type())
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("file %q: its name is not UTF-8", p)
	}
	sum, size, err := r.hashes.sum(r.ctx, p)
	if err != nil {
		return fmt.Errorf("file %s: %w", p, cause(err))
	}
	r.found = append(r.found, OutsideFile{Entry: r.entry, InDir: r.inDir, Name: name, Size: size, SHA256: sum})
	return nil
}

// dir follows symbolic links: model hubs keep their snapshots as links to
// blobs. above holds the directories on the way here, to see a loop of links.
func (r *outsideReader) dir(p, name string, above []os.FileInfo) error {
	entries, err := os.ReadDir(p)
	if err != nil {
		return fmt.Errorf("directory %s: %w", p, cause(err))
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		sub, subName := filepath.Join(p, e.Name()), path.Join(name, e.Name())
		info, err := os.Stat(sub)
		if err != nil {
			return fmt.Errorf("file %s: %w", sub, cause(err))
		}
		if !info.IsDir() {
			if err := r.file(sub, subName, info); err != nil {
				return err
			}
			continue
		}
		for _, a := range above {
			if os.SameFile(a, info) {
				return fmt.Errorf("directory %s: a link back to a directory above it", sub)
			}
		}
		if err := r.dir(sub, subName, append(above[:len(above):len(above)], info)); err != nil {
			return err
		}
	}
	return nil
}
