package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// minPrefix is the least number of hex digits that can stand for an id.
const minPrefix = 4

// Artifact is a directory of files that a stage made and nobody changes.
type Artifact struct {
	Dir      string    // absolute
	Manifest *Manifest // nil if Damage is set
	Damage   error     // why it cannot be used: its manifest is unreadable or a file missing or of wrong size
}

// Name returns the artifact's directory name, KIND-HEX16.
func (a *Artifact) Name() string { return filepath.Base(a.Dir) }

// Verify reads every file and compares it with the manifest. The error names
// the artifact and every file that differs.
func (a *Artifact) Verify(ctx context.Context) error {
	err := a.Damage
	if err == nil {
		err = a.Manifest.verify(ctx, a.Dir)
	}
	if err != nil {
		return fmt.Errorf("artifact %s: %w", a.Name(), err)
	}
	return nil
}

// loadArtifact looks at one artifact without reading its files; nil means
// that there is none by this directory name.
func (s *Store) loadArtifact(name string) *Artifact {
	a := &Artifact{Dir: s.artifactDir(name)}
	m, err := readManifest(a.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = m.checkSizes(a.Dir)
	}
	if err != nil {
		a.Damage = err
		return a
	}
	a.Manifest = m
	return a
}

// Artifacts returns everything in the store by directory name, damaged
// artifacts included.
func (s *Store) Artifacts() ([]*Artifact, error) {
	names, err := subdirectories(filepath.Join(s.dir, "artifacts"))
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", err)
	}
	var list []*Artifact
	for _, name := range names {
		if a := s.loadArtifact(name); a != nil { // else removed meanwhile
			list = append(list, a)
		}
	}
	return list, nil
}

// Artifact finds an artifact by its id, its directory name, the name of a
// stage (its artifact in the latest run that has one), or a prefix of at least
// four characters that only one id or directory name has; in this order.
func (s *Store) Artifact(ref string) (*Artifact, error) {
	names, err := subdirectories(filepath.Join(s.dir, "artifacts"))
	if err != nil {
		return nil, fmt.Errorf("find artifact %q: %w", ref, err)
	}
	name, err := s.resolve(ref, names)
	if err != nil {
		return nil, fmt.Errorf("find artifact %q: %w", ref, err)
	}
	a := s.loadArtifact(name)
	if a == nil || validHash(ref) && a.Damage == nil && a.Manifest.ID != ref {
		return nil, fmt.Errorf("find artifact %q: %s is not in the store", ref, name)
	}
	return a, nil
}

// resolve returns the directory name that ref stands for. It matches ref
// against what the store lists and never uses it as a path.
func (s *Store) resolve(ref string, names []string) (string, error) {
	for _, name := range names {
		if name == ref || (validHash(ref) && hexOf(name) == ref[:16]) {
			return name, nil
		}
	}
	if sr, err := s.latestStage(ref); err != nil || sr != nil {
		if err != nil {
			return "", err
		}
		return sr.dirName(), nil
	}
	var found []string
	for _, name := range names {
		short := hexOf(name)
		if len(ref) >= minPrefix && (strings.HasPrefix(short, ref) || strings.HasPrefix(name, ref)) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", errors.New("no artifact has this id and no run has a stage of this name")
	}
	return "", fmt.Errorf("could be any of %s", strings.Join(found, ", "))
}

// latestStage returns what the latest run that got to the named stage says of
// it; nil if none did.
func (s *Store) latestStage(name string) (*StageRecord, error) {
	ids, err := s.runIDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		r, err := readRecord(s.runDir(id))
		if err != nil {
			continue // a damaged record, or one not yet written, knows of no stage
		}
		if sr := r.stage(name); sr != nil && sr.made() {
			return sr, nil
		}
	}
	return nil, nil
}

// setAside moves a directory out of the way and keeps it; it returns where to.
func (s *Store) setAside(dir string) (string, error) {
	to := filepath.Join(s.dir, "aside", filepath.Base(dir)+"-"+randomHex())
	if err := os.Rename(dir, to); err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	return to, nil
}

// hexOf returns the hex digits that end an artifact's directory name.
func hexOf(name string) string { return name[strings.LastIndexByte(name, '-')+1:] }
