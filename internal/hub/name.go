package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Ref names a model or a dataset of a hub, and which revision of it.
type Ref struct {
	Name     string // org/name, or a name alone
	Revision string // branch, tag or commit
	Dataset  bool
}

// kind is what the repository holds, for messages.
func (r Ref) kind() string {
	if r.Dataset {
		return "dataset"
	}
	return "model"
}

// DefaultRevision is the revision of a name without one.
const DefaultRevision = "main"

// String is the text that ParseRef or ParseDatasetRef reads.
func (r Ref) String() string { return r.Name + "@" + r.Revision }

var (
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?$`)
	commitPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseRef reads the name of a model: NAME or NAME@REVISION.
func ParseRef(text string) (Ref, error) { return parse(text, false) }

// ParseDatasetRef reads that of a dataset.
func ParseDatasetRef(text string) (Ref, error) { return parse(text, true) }

func parse(text string, dataset bool) (Ref, error) {
	name, revision, has := strings.Cut(text, "@")
	if !has {
		revision = DefaultRevision
	}
	r := Ref{Name: name, Revision: revision, Dataset: dataset}
	return r, r.Validate()
}

// Validate says what is wrong with the name or the revision.
func (r Ref) Validate() error {
	if !namePattern.MatchString(r.Name) || len(r.Name) > 96 || strings.Contains(r.Name, "--") || strings.Contains(r.Name, "..") ||
		strings.HasSuffix(r.Name, ".git") {
		return fmt.Errorf("%q is no %s of a hub: want org/name", r.Name, r.kind())
	}
	if err := checkRevision(r.Revision); err != nil {
		return fmt.Errorf("revision %q of %s: %w", r.Revision, r.Name, err)
	}
	return nil
}

// checkRevision takes what git takes for a branch or tag, as it becomes a file
// below refs.
func checkRevision(rev string) error {
	if err := checkPath(rev); err != nil {
		return err
	}
	if strings.ContainsAny(rev, " ~^:?*[@") {
		return errors.New("no branch, tag or commit is called that")
	}
	for part := range strings.SplitSeq(rev, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return errors.New("no branch, tag or commit is called that")
		}
	}
	return nil
}

// checkPath refuses the name of a file that could mean another place on any
// system: its components become directories and files of the cache.
func checkPath(name string) error {
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("it has characters that no file name has")
	case strings.ContainsAny(name, `\:`):
		return errors.New(`it has \ or :, which are parts of a path on some systems`)
	case !fs.ValidPath(name) || name == ".":
		return errors.New("it is not a path below the repository")
	case len(name) > 1024:
		return errors.New("it is longer than 1024 bytes")
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 200 || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
			return fmt.Errorf("component %q is no file name on some systems", part)
		}
	}
	return nil
}

// pickles are the endings of files that hold Python's pickles, or can: reading
// one can run any program.
var pickles = []string{".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".npy", ".npz", ".mar"}

func isPickle(name string) bool {
	return slices.Contains(pickles, strings.ToLower(path.Ext(name)))
}

// folder is the repository's directory in the cache.
func (r Ref) folder() string { return r.kind() + "s--" + strings.ReplaceAll(r.Name, "/", "--") }

// api is where the hub describes the repository.
func (r Ref) api() string { return "/api/" + r.kind() + "s/" + r.Name }

// files is where its files are.
func (r Ref) files() string {
	if r.Dataset {
		return "/datasets/" + r.Name
	}
	return "/" + r.Name
}
