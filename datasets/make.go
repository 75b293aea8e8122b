package datasets

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Hooks are what Make works with besides its options. The zero value is nothing.
type Hooks struct {
	// Scratch is a directory for what is kept on disk meanwhile, about as much as
	// the texts; "" is a new one of the system's. What a killed call left there
	// is removed.
	Scratch string
	// Transform changes an example, or says that it cannot, before it is hashed,
	// compared or written anywhere. It is called for one example after the other,
	// in order, for usable rows alone.
	Transform func(*Example) error
	// Against are further texts that examples are decontaminated against, with
	// Options.Decontaminate. An error ends Make.
	Against iter.Seq2[string, error]
	// Progress is told now and then how many rows have been read.
	Progress func(rows int)
}

// scratchDir is the folder in Hooks.Scratch.
const scratchDir = "dataset"

// Make reads the files that o names and writes their examples into dir, which
// must exist: <split>.parquet and, last, dataset.json. The same files and
// options give the same bytes. It reads the rows once, keeps them in scratch
// while it decides which of them stay, and takes memory for single rows and a
// few bytes an example. Its errors name file and row: a file that is missing,
// damaged or lacks a column, a bad row if o says so, and ErrNoExamples if
// nothing could be used. ctx ends it between rows.
func Make(ctx context.Context, dir string, o Options, h Hooks) (_ *Dataset, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m := &maker{o: o, hooks: h, dir: dir}
	if err := m.open(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	for _, f := range m.files {
		if err := m.file(ctx, f); err != nil {
			return nil, err
		}
	}
	if err := m.checkAny(); err != nil {
		return nil, err
	}
	for _, s := range m.spools {
		if err := s.flush(); err != nil {
			return nil, fmt.Errorf("write dataset: %w", err)
		}
	}
	if err := m.decide(ctx); err != nil {
		return nil, err
	}
	return m.write(ctx)
}

// maker is one call of Make.
type maker struct {
	o       Options
	hooks   Hooks
	dir     string
	scratch string

	inputs   []namedInput
	mappers  []*mapper
	files    []sourceFile
	splits   []string // names, in order
	ranks    []int    // of the splits: duplicates stay where this is smallest
	spools   []*spool
	splitter splitter
	hashing  // what is hashed of an example

	ids, prompts, wholes, sameGroups *groups // nil where nobody asks

	counts   Counts
	rejected []placed
	sources  []Source
	verdicts [][]uint8 // per split and example: 0, or the place of a Drop
	found    *Contamination
	copies   [][]uint8 // likewise how often it is written; nil if all are once
}

// placed is a rejection with its place among all rows.
type placed struct {
	Rejection
	seq int
}

// hashing says what is hashed of each example.
type hashing struct{ order, response, prompt, whole bool }

func (m *maker) open() error {
	m.inputs = m.o.inputs()
	for i := range m.inputs {
		in := &m.inputs[i]
		if in.Hub != "" {
			return fmt.Errorf("hub: %s: its files are not known", in.Hub)
		}
		mapper, err := newMapper(&in.Input)
		if err != nil {
			return err
		}
		files, err := findFiles(i, in.Files)
		if err != nil {
			return err
		}
		m.mappers, m.files = append(m.mappers, mapper), append(m.files, files...)
	}
	m.splitter = newSplitter(m.o)
	m.nameSplits()
	m.counts = Counts{Examples: map[string]int{}, Rejected: map[Reason]int{}}
	return m.openScratch()
}

// nameSplits lists the splits that there will be, and their ranks: training
// gives way to every other.
func (m *maker) nameSplits() {
	names := map[string]bool{}
	for name := range m.o.Split {
		names[name], names[TrainSplit] = true, true
	}
	for _, f := range m.files {
		if f.split == "" {
			names[TrainSplit] = true
		} else {
			names[f.split] = true
		}
	}
	m.splits = slices.Sorted(maps.Keys(names))
	for i, name := range m.splits {
		rank := i
		if name == TrainSplit {
			rank = maxSplits
		}
		m.ranks = append(m.ranks, rank)
	}
}

// maxSplits is the most splits that there are.
const maxSplits = 200

func (m *maker) openScratch() (err error) {
	if len(m.splits) > maxSplits {
		return fmt.Errorf("files: %d splits: want at most %d", len(m.splits), maxSplits)
	}
	if m.hooks.Scratch == "" {
		if m.scratch, err = os.MkdirTemp("", "retort-dataset-"); err != nil {
			return err
		}
	} else {
		m.scratch = filepath.Join(m.hooks.Scratch, scratchDir)
		if err := errors.Join(os.RemoveAll(m.scratch), os.MkdirAll(m.scratch, 0o777)); err != nil {
			return err
		}
	}
	d, weighted := m.o.Deduplicate, m.weighted()
	m.hashing = hashing{order: m.o.Limit > 0 || weighted || m.o.Balance != nil, response: m.o.Balance != nil}
	m.verdicts = make([][]uint8, len(m.splits))
	if d != nil {
		drop := d.Conflicts == DropConflicts
		m.hashing.prompt = d.exact() && d.On == OnPrompt || drop
		m.hashing.whole = d.exact() && d.On != OnPrompt
		m.hashing.response = m.hashing.response || drop
	}
	for _, want := range []struct {
		name string
		when bool
		to   **groups
	}{{"ids", m.idsMayRepeat(), &m.ids}, {"prompts", m.hashing.prompt, &m.prompts}, {"examples", m.hashing.whole, &m.wholes}, {"groups", m.hasGroups() && len(m.splits) > 1, &m.sameGroups}} {
		if want.when {
			*want.to = &groups{dir: m.scratch, name: want.name}
		}
	}
	for _, name := range m.splits {
		s, err := newSpool(m.scratch, name, m.hashing != hashing{})
		if err != nil {
			return errors.Join(err, m.close())
		}
		m.spools = append(m.spools, s)
	}
	return nil
}

func (m *maker) weighted() bool { return len(m.inputs) > 0 && m.inputs[0].weight > 0 }

func (m *maker) hasGroups() bool {
	return slices.ContainsFunc(m.inputs, func(in namedInput) bool { return in.Columns.Group != "" })
}

// idsMayRepeat: ids are hashes of row, base name and place unless a column has
// them, so that only files of one name can have equal ones.
func (m *maker) idsMayRepeat() bool {
	names := map[string]bool{}
	for _, f := range m.files {
		base := filepath.Base(f.path)
		if names[base] || m.inputs[f.source].Columns.ID != "" {
			return true
		}
		names[base] = true
	}
	return false
}

// close removes what is in scratch.
func (m *maker) close() error {
	var errs []error
	for _, s := range m.spools {
		errs = append(errs, s.close())
	}
	for _, g := range []*groups{m.ids, m.prompts, m.wholes, m.sameGroups} {
		if g != nil {
			errs = append(errs, g.close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(m.scratch))...)
}
