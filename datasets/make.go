package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// progressRows is how many rows are read between two calls of Progress.
const progressRows = 1 << 14

func (m *maker) file(ctx context.Context, f sourceFile) error {
	if err := checkRegular(f.path); err != nil {
		return err
	}
	mapper := m.mappers[f.source].with(f.path)
	rows := &fileRows{path: f.path, want: mapper.want}
	base, index := filepath.Base(f.path), len(m.sources)
	rows.make = func(c *candidate) {
		c.File, c.Source, c.Row, c.file, c.line = base, m.inputs[f.source].name, c.row.index, index, c.row.line
		if c.reason = mapper.example(c.row.cells, &c.Example); c.reason == "" && m.hooks.Transform == nil {
			c.reason = m.finish(c, f)
		}
	}
	digest := make(chan error, 1)
	source := Source{Name: m.inputs[f.source].name, File: base, Split: f.split}
	go func() {
		var err error
		source.SHA256, err = fileSHA256(ctx, f.path)
		digest <- err
	}()
	count := 0
	err := rows.read(ctx, func(c *candidate) error {
		count++
		if m.hooks.Progress != nil && (m.counts.Rows+count)%progressRows == 0 {
			m.hooks.Progress(m.counts.Rows + count)
		}
		c.seq = m.counts.Rows + count
		return m.add(f, c)
	})
	if err = errors.Join(err, <-digest); err != nil {
		return err
	}
	source.Rows = count
	m.counts.Rows += count
	m.sources = append(m.sources, source)
	return nil
}

// finish is what follows a row's mapping and transformation: lengths, split,
// id and hashes.
func (m *maker) finish(c *candidate, f sourceFile) Reason {
	if strings.TrimSpace(c.Prompt) == "" {
		return EmptyPrompt
	}
	if reason := m.o.fitLengths(c); reason != "" {
		return reason
	}
	if c.ID == "" {
		c.ID = exampleID(&c.Example)
	}
	by := c.Prompt
	if m.mappers[f.source].columns.Group != "" {
		by = c.Group
	}
	c.split, _ = slices.BinarySearch(m.splits, m.splitter.of(f.split, by))
	c.keys.source = uint16(f.source)
	if m.order {
		c.keys.order = promptHash("limit", m.o.SplitSeed, c.Prompt)
	}
	if m.hashing.response {
		c.keys.response = textHash(c.Response, c.Turn)
	}
	if m.hashing.prompt {
		c.prompt = textHash(c.Prompt, c.Messages, c.Tools)
	}
	if m.hashing.whole {
		c.whole = textHash(c.Prompt, c.Messages, c.Tools, c.Response, c.Turn, c.Rejected)
	}
	return ""
}

// add spools a usable row, or counts it as rejected.
func (m *maker) add(f sourceFile, c *candidate) error {
	if c.reason == "" && m.hooks.Transform != nil {
		if err := m.hooks.Transform(&c.Example); err != nil {
			return fmt.Errorf("read %s: row %d: %w", f.path, c.Row, err)
		}
		c.reason = m.finish(c, f)
	}
	if c.reason != "" {
		long := (c.reason == TooLong || c.reason == LongResponse) && m.o.TooLong == ErrorTooLong
		if m.o.BadRows == ErrorBadRows || long {
			return fmt.Errorf("read %s: row %d: %s", f.path, c.Row, c.reason)
		}
		m.reject(c.seq, Rejection{c.File, c.Row, m.lineOf(f, c.line), c.reason})
		return nil
	}
	if m.counts.Truncated == nil && (c.cutPrompt || c.cutResponse) {
		m.counts.Truncated = map[string]int{}
	}
	if c.cutPrompt {
		m.counts.Truncated["prompt"]++
	}
	if c.cutResponse {
		m.counts.Truncated["response"]++
	}
	if err := m.remember(c); err != nil {
		return fmt.Errorf("write dataset: %w", err)
	}
	return nil
}

// remember puts an example into its spool, and its keys where they are compared.
func (m *maker) remember(c *candidate) error {
	s := m.spools[c.split]
	of := member{rank: m.ranks[c.split], at: s.n}
	if err := s.add(&c.spooled, c.keys); err != nil {
		return err
	}
	for _, g := range []struct {
		to         *groups
		key, other uint64
	}{{m.prompts, c.prompt, c.keys.response}, {m.wholes, c.whole, 0}} {
		if g.to != nil {
			of.key, of.other = g.key, g.other
			if err := g.to.add(of); err != nil {
				return err
			}
		}
	}
	if m.ids != nil {
		of.key, of.other = textHash(m.splits[c.split], c.ID), 0
		if err := m.ids.add(of); err != nil {
			return err
		}
	}
	if m.sameGroups != nil && c.Group != "" {
		of.key, of.other = textHash(c.Group), 0
		return m.sameGroups.add(of)
	}
	return nil
}

// lineOf is the line of a row where the row's number does not say it.
func (m *maker) lineOf(f sourceFile, line int) int {
	if name := strings.ToLower(f.path); strings.Contains(filepath.Base(name), ".csv") || strings.Contains(filepath.Base(name), ".tsv") {
		return line
	}
	return 0
}

func (m *maker) reject(seq int, r Rejection) {
	m.counts.Rejected[r.Reason]++
	if len(m.rejected) < maxRejections {
		m.rejected = append(m.rejected, placed{r, seq})
	}
}

// exampleID is the id of an example that has none: of its text and place, so
// that it stays the same when other rows or files come and go.
func exampleID(e *Example) string {
	sum := sha256.Sum256(lengthed(e.Prompt, e.Response, e.File, strconv.Itoa(e.Row)))
	return hex.EncodeToString(sum[:8])
}

// copyID is the id of the n-th repetition of an example.
func copyID(e *Example, n int) string {
	sum := sha256.Sum256(lengthed("repetition", e.ID, strconv.Itoa(n)))
	return hex.EncodeToString(sum[:8])
}

// textHash is a number for texts.
func textHash(parts ...string) uint64 {
	sum := sha256.Sum256(lengthed(parts...))
	return binary.BigEndian.Uint64(sum[:])
}

// lengthed joins parts with their lengths, so that no two lists of parts run together.
func lengthed(parts ...string) []byte {
	n := 0
	for _, part := range parts {
		n += len(part) + 8
	}
	b := make([]byte, 0, n)
	for _, part := range parts {
		b = append(append(strconv.AppendInt(b, int64(len(part)), 10), ':'), part...)
	}
	return b
}
