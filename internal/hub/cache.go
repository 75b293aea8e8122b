package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// link gives the content of f its name in the snapshot: a link relative to it,
// so that the cache can be moved, or a second name where there are no links.
func (p *pull) link(f file) error {
	name := "snapshots/" + p.commit + "/" + f.path
	target := strings.Repeat("../", 2+strings.Count(f.path, "/")) + "blobs/" + f.hash
	if have, err := p.root.Readlink(name); err == nil && filepath.ToSlash(have) == target {
		return nil
	}
	if err := p.root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	temporary := p.temporary()
	if err := p.root.Symlink(filepath.FromSlash(target), temporary); err != nil {
		if err := p.root.Link("blobs/"+f.hash, temporary); err != nil {
			return err
		}
	}
	return p.publish(temporary, name)
}

// temporary is a name that nobody else uses.
func (p *pull) temporary() string {
	return fmt.Sprintf("blobs/.tmp-%d-%d", os.Getpid(), p.temporaries.Add(1))
}

// publish renames a file, or removes it.
func (p *pull) publish(temporary, name string) error {
	if err := p.root.Rename(temporary, name); err != nil {
		return errors.Join(err, p.root.Remove(temporary))
	}
	return nil
}

// record notes what commit the revision is.
func (p *pull) record() error {
	if p.ref.Revision == p.commit {
		return nil
	}
	name := "refs/" + p.ref.Revision
	if err := p.root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	temporary := p.temporary()
	if err := p.root.WriteFile(temporary, []byte(p.commit), 0o666); err != nil {
		return err
	}
	return p.publish(temporary, name)
}

// Find returns the model or dataset in the cache, without asking the hub: the commit that
// the revision was when it was last pulled. One that is not there, or a
// model of which not all is, is an error.
func (c *Client) Find(ref Ref) (Snapshot, error) {
	if err := ref.Validate(); err != nil {
		return Snapshot{}, err
	}
	s, err := c.find(ref, nil)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", ref, err)
	}
	return s, nil
}

func (c *Client) find(ref Ref, include []string) (Snapshot, error) {
	repository := filepath.Join(c.Cache, ref.folder())
	s := Snapshot{Name: ref.Name, Revision: ref.Revision, Commit: ref.Revision}
	if !commitPattern.MatchString(ref.Revision) {
		data, err := os.ReadFile(filepath.Join(repository, "refs", filepath.FromSlash(ref.Revision)))
		if err != nil {
			return s, fmt.Errorf("not in the cache %s", c.Cache)
		}
		s.Commit = strings.TrimSpace(string(data))
		if !commitPattern.MatchString(s.Commit) {
			return s, fmt.Errorf("cache: refs/%s of %s holds no commit", ref.Revision, repository)
		}
	}
	s.Dir = filepath.Join(repository, "snapshots", s.Commit)
	if err := s.readFiles(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return s, fmt.Errorf("not in the cache %s: %w", c.Cache, err)
		}
		return s, fmt.Errorf("cache: %w", err)
	}
	if ref.Dataset {
		return s, s.completeData(include)
	}
	return s, s.complete(include)
}

// readFiles lists the files of the snapshot, all of which must lead to a content.
func (s *Snapshot) readFiles() error {
	return filepath.WalkDir(s.Dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if _, err := os.Stat(name); err != nil {
			return err
		}
		rel, err := filepath.Rel(s.Dir, name)
		s.Files = append(s.Files, filepath.ToSlash(rel))
		return err
	})
}

// completeData says that there are no rows, or which pattern has no file.
func (s *Snapshot) completeData(include []string) error {
	if err := s.included(include); err != nil || len(include) > 0 {
		return err
	}
	if !slices.ContainsFunc(s.Files, IsData) {
		return fmt.Errorf("the cache %s has no files of rows of commit %s", s.Dir, s.Commit)
	}
	return nil
}

// included says which pattern has no file.
func (s *Snapshot) included(include []string) error {
	for _, pattern := range include {
		if !slices.ContainsFunc(s.Files, func(name string) bool { return Matches(pattern, name) }) {
			return fmt.Errorf("include %q: the cache has no such file of commit %s", pattern, s.Commit)
		}
	}
	return nil
}

// complete says which weights are missing, or which pattern has no file.
func (s *Snapshot) complete(include []string) error {
	if err := s.included(include); err != nil {
		return err
	}
	has := func(name string) bool { return slices.Contains(s.Files, name) }
	switch {
	case has(singleFile), has("adapter_model.safetensors"):
		return nil
	case !has(indexFile):
		if slices.ContainsFunc(s.Files, func(name string) bool { return strings.EqualFold(path.Ext(name), ".gguf") }) {
			return nil
		}
		if len(include) > 0 {
			return nil
		}
		return fmt.Errorf("the cache %s has no weights of commit %s", s.Dir, s.Commit)
	}
	index, err := os.ReadFile(filepath.Join(s.Dir, indexFile))
	if err != nil {
		return err
	}
	names, err := shardNames(index)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Dir, err)
	}
	for _, name := range names {
		if !has(name) {
			return fmt.Errorf("the cache %s lacks %s", s.Dir, name)
		}
	}
	return nil
}

// Model is the path that holds the model: the directory or, in a repository of
// GGUF files alone, its only file.
func (s *Snapshot) Model() (string, error) {
	if slices.Contains(s.Files, "config.json") && (slices.Contains(s.Files, singleFile) || slices.Contains(s.Files, indexFile)) {
		return s.Dir, nil
	}
	var ggufs []string
	for _, name := range s.Files {
		if strings.EqualFold(path.Ext(name), ".gguf") {
			ggufs = append(ggufs, name)
		}
	}
	switch len(ggufs) {
	case 0:
		return s.Dir, nil
	case 1:
		return filepath.Join(s.Dir, filepath.FromSlash(ggufs[0])), nil
	}
	return "", fmt.Errorf("%s has several GGUF files: name one of %s", s.Dir, strings.Join(ggufs, ", "))
}
