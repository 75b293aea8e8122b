package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/retort-ml/retort/internal/atomicfile"
)

const (
	manifestName = "manifest.json"
	// maxManifestBytes bounds what is read into memory of a file that may be
	// damaged; it is enough for some 500,000 files.
	maxManifestBytes = 64 << 20
)

// Manifest is what an artifact says about itself in manifest.json. Two runs
// of one recipe write the same bytes.
type Manifest struct {
	Format  int             `json:"format"`
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	Stage   string          `json:"stage"` // its name when it made this
	Version string          `json:"version,omitempty"`
	Program string          `json:"program"` // the version of the program that made this
	Options json.RawMessage `json:"options"` // the stage's fingerprint as canonical JSON
	Inputs  []Input         `json:"inputs"`  // in the stage's order
	Outside []OutsideFile   `json:"outside_files"`
	Files   []File          `json:"files"` // by path
}

// Input is an artifact that another was made from.
type Input struct {
	Stage   string `json:"stage"`
	ID      string `json:"id"`
	Content string `json:"content"` // Manifest.Content of the input, as it was read
}

// File is one file of an artifact.
type File struct {
	Path   string `json:"path"` // with slashes, below the artifact's directory
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Content returns a hash of the artifact's files. Two artifacts with one id
// differ in it if the stage does not make the same bytes each time, as a
// remote teacher's answers do not.
func (m *Manifest) Content() string {
	hash := sha256.New()
	for _, f := range m.Files {
		fmt.Fprintf(hash, "%s %d %q\n", f.SHA256, f.Size, f.Path)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func (m *Manifest) description() description {
	ids := make([]string, len(m.Inputs))
	for i, in := range m.Inputs {
		ids[i] = in.ID
	}
	return description{Format: m.Format, Kind: m.Kind, Version: m.Version, Options: m.Options, Inputs: ids, Files: m.Outside}
}

func (m *Manifest) write(dir string) error {
	data, err := marshalPlain(m)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "", "  "); err != nil {
		return err
	}
	indented.WriteByte('\n')
	return atomicfile.WriteBytes(filepath.Join(dir, manifestName), indented.Bytes())
}

// readManifest reads the manifest of an artifact's directory and checks it
// against itself: the id must be the hash of what it describes. The error is
// fs.ErrNotExist if the directory itself does not exist.
func readManifest(dir string) (*Manifest, error) {
	if _, err := os.Lstat(dir); err != nil {
		return nil, err
	}
	data, err := readBounded(filepath.Join(dir, manifestName), maxManifestBytes)
	if err != nil {
		// Not wrapped: a directory without a manifest is damaged, not absent.
		return nil, fmt.Errorf("%s: %v", manifestName, cause(err))
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if err := m.validate(filepath.Base(dir)); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	return m, nil
}

func (m *Manifest) validate(base string) error {
	if m.Format != formatVersion {
		return fmt.Errorf("format %d: this program reads %d", m.Format, formatVersion)
	}
	id, err := m.description().id()
	if err != nil {
		return err
	}
	if id != m.ID {
		return fmt.Errorf("id %q is not the hash of what it describes, %s", m.ID, id)
	}
	if want := dirName(m.Kind, m.ID); base != want {
		return fmt.Errorf("describes %s, but lies in %s", want, base)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) || f.Size < 0 || !validHash(f.SHA256) {
			return fmt.Errorf("file %q: bad path, size %d or hash %q", f.Path, f.Size, f.SHA256)
		}
	}
	return nil
}

// checkSizes looks for every listed file and its size, without reading it.
func (m *Manifest) checkSizes(dir string) error {
	for _, f := range m.Files {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %v", f.Path, cause(err))
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s: not a regular file (%s)", f.Path, info.Mode().Type())
		case info.Size() != f.Size:
			return fmt.Errorf("%s: %d bytes, manifest says %d", f.Path, info.Size(), f.Size)
		}
	}
	return nil
}

// listFiles hashes everything in dir, by path, except the manifest.
func listFiles(ctx context.Context, dir string) ([]File, error) {
	files := []File{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == manifestName {
			return err
		}
		name := filepath.ToSlash(rel)
		switch {
		case !e.Type().IsRegular():
			return fmt.Errorf("%s: not a regular file (%s)", name, e.Type())
		case !utf8.ValidString(name):
			return fmt.Errorf("%q: name is not UTF-8", name)
		}
		sum, size, err := hashFile(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", name, cause(err))
		}
		files = append(files, File{Path: name, Size: size, SHA256: sum})
		return nil
	})
	return files, err
}

// verify reads every file and compares it with the manifest. All differences
// are in the error.
func (m *Manifest) verify(ctx context.Context, dir string) error {
	found, err := listFiles(ctx, dir)
	if err != nil {
		return err
	}
	byPath := make(map[string]File, len(found))
	for _, f := range found {
		byPath[f.Path] = f
	}
	var errs []error
	for _, want := range m.Files {
		got, ok := byPath[want.Path]
		delete(byPath, want.Path)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s: missing", want.Path))
		case got.Size != want.Size:
			errs = append(errs, fmt.Errorf("%s: %d bytes, manifest says %d", want.Path, got.Size, want.Size))
		case got.SHA256 != want.SHA256:
			errs = append(errs, fmt.Errorf("%s: SHA-256 %s, manifest says %s", want.Path, got.SHA256, want.SHA256))
		}
	}
	for _, f := range found {
		if _, extra := byPath[f.Path]; extra {
			errs = append(errs, fmt.Errorf("%s: not in the manifest", f.Path))
		}
	}
	return errors.Join(errs...)
}

// readBounded reads a whole file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return data, nil
}
