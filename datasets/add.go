package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

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
	hashing, stop := context.WithCancel(ctx)
	defer stop()
	source := Source{Name: m.inputs[f.source].name, File: base, Split: f.split}
	go func() {
		var err error
		source.SHA256, err = fileSHA256(hashing, f.path)
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
	if err != nil {
		stop()
		<-digest
		return err
	}
	if err := <-digest; err != nil {
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
