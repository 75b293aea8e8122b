package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Stage is one repeatable computation from artifacts to one artifact.
type Stage struct {
	// Name is unique in a pipeline: letters, digits, '_', '-' and '.'. It is not
	// part of the artifact's id.
	Name string
	// Kind names the computation ("train") and begins the artifact's directory
	// name: lower-case ASCII letters, digits, '_' and '-'.
	Kind string
	// Version is raised when the computation changes its meaning, so that
	// artifacts of the old meaning are not reused.
	Version string
	// Inputs names the stages whose artifacts this one reads. Their order is
	// part of the id.
	Inputs []string
	// Files are the outside files and directories this stage reads. Their
	// contents and base names are part of the id, the directories they lie in
	// are not. In a directory, entries whose name begins with a dot are not read.
	Files []string
	// Fingerprint is everything else that can change the output: the resolved
	// options, as a value that encoding/json can marshal. It must hold no
	// absolute path and no clock.
	Fingerprint any
	// Run fills w.Dir. It returns soon after ctx is cancelled, waits for the
	// goroutines it started, and may be called again for the same artifact
	// after an error or a kill; then w.Scratch holds what it left there.
	Run func(ctx context.Context, w *Work) error
	// Memory forecasts the peak memory of Run, before anything runs; nil where
	// nobody can tell. made gives the directory of a stage's artifact, or "" if
	// it is yet to be made: of this stage's inputs and of theirs.
	Memory func(ctx context.Context, made func(stage string) string) (Memory, error)
	// Charge forecasts what others will charge for Run; nil where nobody does.
	Charge func(ctx context.Context, made func(stage string) string) (Charge, error)
}

// Memory is a forecast.
type Memory struct {
	PeakBytes int64  // most that the process takes while the stage runs; 0 means that nobody can tell
	Fault     string // why the stage cannot run, and what would fit; empty if it can
}

// Charge is a forecast of what others charge for a stage's work.
type Charge struct {
	Calls  int     `json:"calls"`            // to their servers, that are not answered already
	Likely float64 `json:"likely_usd"`       // US dollars
	Most   float64 `json:"most_usd"`         // more cannot be charged without retries
	Cap    float64 `json:"cap_usd"`          // at which the stage stops
	Unsure string  `json:"unsure,omitempty"` // why this is not known, or may be wrong
}

// validate returns every fault of one stage that can be seen without the others.
func (s *Stage) validate() error {
	var errs []error
	if !validName(s.Name) {
		errs = append(errs, fmt.Errorf("stage %q: a name is letters, digits, '_', '-' and '.', at most 100 of them", s.Name))
	}
	if !validKind(s.Kind) {
		errs = append(errs, fmt.Errorf("stage %s: kind %q: want lower-case letters, digits, '_' and '-', at most 40 of them", s.Name, s.Kind))
	}
	if s.Run == nil {
		errs = append(errs, fmt.Errorf("stage %s: has no Run function", s.Name))
	}
	return errors.Join(errs...)
}

func validName(name string) bool {
	ok := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-.", r) }
	return name != "" && len(name) <= 100 && !strings.HasPrefix(name, ".") &&
		strings.IndexFunc(name, func(r rune) bool { return r == unicode.ReplacementChar || !ok(r) }) < 0
}

func validKind(kind string) bool {
	bad := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' }
	return kind != "" && len(kind) <= 40 && kind[0] != '-' && strings.IndexFunc(kind, bad) < 0
}

// order returns the stages that the targets depend on, the targets included,
// each after its inputs and otherwise as declared. No targets means all. The
// error holds every fault found in the stages, needed or not.
func order(stages []Stage, targets []string) ([]*Stage, error) {
	byName, err := index(stages)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(stages))
	for i := range stages {
		all[i] = stages[i].Name
	}
	sorted, err := visit(byName, all)
	if err != nil || len(targets) == 0 {
		return sorted, err
	}
	var errs []error
	for _, t := range targets {
		if byName[t] == nil {
			errs = append(errs, fmt.Errorf("target %q: no such stage; there are %s", t, strings.Join(all, ", ")))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	needed, err := visit(byName, targets)
	return slices.DeleteFunc(sorted, func(s *Stage) bool { return !slices.Contains(needed, s) }), err
}

// index validates the stages one by one and their references.
func index(stages []Stage) (map[string]*Stage, error) {
	var errs []error
	byName := make(map[string]*Stage, len(stages))
	for i := range stages {
		s := &stages[i]
		if err := s.validate(); err != nil {
			errs = append(errs, err)
		}
		if byName[s.Name] != nil {
			errs = append(errs, fmt.Errorf("stage %s: declared twice", s.Name))
		}
		byName[s.Name] = s
	}
	for i := range stages {
		for _, in := range stages[i].Inputs {
			if byName[in] == nil {
				errs = append(errs, fmt.Errorf("stage %s: input %q: no such stage", stages[i].Name, in))
			}
		}
	}
	return byName, errors.Join(errs...)
}

// visit walks depth first from the named stages and returns all it met, inputs
// before consumers. A cycle is an error that spells it out.
func visit(byName map[string]*Stage, from []string) ([]*Stage, error) {
	var sorted []*Stage
	done := make(map[string]bool)
	var path []string
	var walk func(name string) error
	walk = func(name string) error {
		if done[name] {
			return nil
		}
		if i := slices.Index(path, name); i >= 0 {
			return fmt.Errorf("stages form a cycle: %s", strings.Join(append(path[i:], name), " → "))
		}
		path = append(path, name)
		for _, in := range byName[name].Inputs {
			if err := walk(in); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		sorted = append(sorted, byName[name])
		return nil
	}
	for _, name := range from {
		if err := walk(name); err != nil {
			return nil, err
		}
	}
	return sorted, nil
}
