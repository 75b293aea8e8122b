package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sourceFile is one file to read.
type sourceFile struct {
	path   string
	split  string // that it is listed under
	source int    // index in Options.inputs
}

// findFiles expands the patterns: splits in order, files as listed, matches of
// a pattern in order.
func findFiles(source int, files map[string][]string) ([]sourceFile, error) {
	var found []sourceFile
	splitOf := map[string]string{}
	for _, split := range sortedKeys(files) {
		for _, pattern := range files[split] {
			matches, err := Match(pattern)
			if err != nil {
				return nil, fmt.Errorf("files: %w", err)
			}
			for _, path := range matches {
				if other, twice := splitOf[path]; twice {
					return nil, fmt.Errorf("files: %s is listed twice, under %q and %q", path, other, split)
				}
				splitOf[path] = split
				found = append(found, sourceFile{path, split, source})
			}
		}
	}
	return found, nil
}

// Match returns the files that a pattern of Input.Files means, in order. A name
// that exists is taken as it is, brackets and all, and so is one without
// wildcards; that no file matches a pattern is an error.
func Match(pattern string) ([]string, error) {
	if _, err := os.Lstat(pattern); err == nil || !strings.ContainsAny(pattern, `*?[`) {
		return []string{filepath.Clean(pattern)}, nil
	}
	matches, err := filepath.Glob(pattern)
	if before, after, deep := strings.Cut(filepath.ToSlash(pattern), "**/"); deep && err == nil {
		matches, err = matchDeep(before, after)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pattern, err)
	}
	for i, path := range matches {
		matches[i] = filepath.Clean(path)
	}
	slices.Sort(matches)
	if matches = slices.Compact(matches); len(matches) == 0 {
		return nil, fmt.Errorf("%s: no file matches", pattern)
	}
	return matches, nil
}

// matchDeep matches a pattern in every folder below those that before means.
func matchDeep(before, after string) (matches []string, err error) {
	roots := []string{"."}
	if before != "" {
		if roots, err = filepath.Glob(filepath.FromSlash(before)); err != nil {
			return nil, err
		}
	}
	if strings.Contains(after, "**") {
		return nil, fmt.Errorf("want ** once: %w", filepath.ErrBadPattern)
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return err
			}
			found, err := filepath.Glob(filepath.Join(escapeGlob(path), filepath.FromSlash(after)))
			matches = append(matches, found...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return matches, nil
}

// escapeGlob is the pattern that matches path alone.
func escapeGlob(path string) string {
	var b strings.Builder
	for _, c := range path {
		if strings.ContainsRune(`*?[`, c) {
			b.WriteString("[" + string(c) + "]")
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func fileSHA256(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, &watchedReader{ctx, f}); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkRegular says that path is no file that can be read to its end. Opening a
// named pipe would wait for ever.
func checkRegular(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err // os names the file
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("read %s: not a regular file", path)
	}
	return nil
}
