package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rowReader walks one file: one cell for each wanted column, then io.EOF. Its
// errors name the file and row or line. Not for concurrent use.
type rowReader interface {
	next(cells []cell) (row int, err error)
	Close() error
}

// Load reads the files that o names into examples. Its errors name file and
// row: a file that is missing, damaged or lacks a column, a bad row if o says
// so, and ErrNoExamples if nothing could be used. ctx ends it between rows.
func Load(ctx context.Context, o Options) (*Dataset, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	files, err := findFiles(o.Files)
	if err != nil {
		return nil, err
	}
	l, err := newLoader(o)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := l.file(ctx, f); err != nil {
			return nil, err
		}
	}
	return l.finish()
}

// sourceFile is one file to read.
type sourceFile struct{ path, split string }

// findFiles expands the patterns: splits in order, files as listed, matches of
// a pattern in order.
func findFiles(files map[string][]string) ([]sourceFile, error) {
	var found []sourceFile
	splitOf := map[string]string{}
	for _, split := range sortedKeys(files) {
		for _, pattern := range files[split] {
			matches := []string{pattern}
			// A name that exists is taken as it is, brackets and all.
			if _, err := os.Stat(pattern); err != nil && strings.ContainsAny(pattern, `*?[`) {
				if matches, err = filepath.Glob(pattern); err != nil {
					return nil, fmt.Errorf("files: %s: %w", pattern, err)
				}
				if len(matches) == 0 {
					return nil, fmt.Errorf("files: %s: no file matches", pattern)
				}
				slices.Sort(matches)
			}
			for _, path := range matches {
				path = filepath.Clean(path)
				if other, twice := splitOf[path]; twice {
					return nil, fmt.Errorf("files: %s is listed twice, under %q and %q", path, other, split)
				}
				splitOf[path] = split
				found = append(found, sourceFile{path, split})
			}
		}
	}
	return found, nil
}

// loader collects the examples of one Load.
type loader struct {
	opts             Options
	prompt, response template
	columns          []string // to read: prompt's, response's, id
	splitter         splitter
	ids              map[string]map[string]bool // per split
	data             *Dataset
}

func newLoader(o Options) (*loader, error) {
	l := &loader{opts: o, splitter: newSplitter(o), ids: map[string]map[string]bool{}}
	l.data = &Dataset{
		Splits: map[string][]Example{}, rule: ruleOf(o),
		Counts: Counts{Examples: map[string]int{}, Rejected: map[Reason]int{}},
	}
	l.prompt = columnTemplate(o.Columns.Prompt)
	var err error
	if o.Template != "" {
		if l.prompt, err = parseTemplate(o.Template); err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
	}
	if !o.PromptOnly {
		l.response = columnTemplate(o.Columns.Response)
		if o.ResponseTemplate != "" {
			if l.response, err = parseTemplate(o.ResponseTemplate); err != nil {
				return nil, fmt.Errorf("response_template: %w", err)
			}
		}
	}
	l.columns = append(append(l.columns, l.prompt.columns...), l.response.columns...)
	if o.Columns.ID != "" {
		l.columns = append(l.columns, o.Columns.ID)
	}
	return l, nil
}

// openRows opens a file by its extension.
func openRows(path string, columns []string) (rowReader, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".parquet":
		return openParquetRows(path, columns)
	case ".jsonl", ".ndjson", ".json":
		return openJSONL(path, columns)
	}
	return nil, fmt.Errorf("read %s: want a file ending in .parquet, .jsonl, .ndjson or .json", path)
}

func (l *loader) file(ctx context.Context, f sourceFile) error {
	digest, err := fileSHA256(f.path)
	if err != nil {
		return err
	}
	rows, err := openRows(f.path, l.columns)
	if err != nil {
		return err
	}
	defer rows.Close()
	base := filepath.Base(f.path)
	count := 0
	cells := make([]cell, len(l.columns))
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: row %d: %w", f.path, count, context.Cause(ctx))
		}
		row, err := rows.next(cells)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		count++
		if reason := l.add(f.split, base, row, cells); reason != "" {
			if l.opts.BadRows == ErrorBadRows {
				return fmt.Errorf("read %s: row %d: %s", f.path, row, reason)
			}
			l.reject(Rejection{base, row, reason})
		}
	}
	l.data.Counts.Rows += count
	l.data.Sources = append(l.data.Sources, Source{File: base, Split: f.split, Rows: count, SHA256: digest})
	return nil
}

func (l *loader) reject(r Rejection) {
	l.data.Counts.Rejected[r.Reason]++
	if len(l.data.Rejected) < maxRejections {
		l.data.Rejected = append(l.data.Rejected, r)
	}
}

// add makes a row an example, or says why it cannot.
func (l *loader) add(listed, file string, row int, cells []cell) Reason {
	np, nr := len(l.prompt.columns), len(l.response.columns)
	prompt, reason := l.text(l.prompt, cells[:np], NullPrompt, EmptyPrompt)
	if reason != "" {
		return reason
	}
	e := Example{Prompt: prompt, File: file, Row: row}
	if l.opts.Lowercase {
		e.Prompt = strings.ToLower(e.Prompt)
	}
	if limit := l.opts.MaxPromptChars; limit > 0 && utf8.RuneCountInString(e.Prompt) > limit {
		return TooLong
	}
	if !l.opts.PromptOnly {
		if e.Response, reason = l.text(l.response, cells[np:np+nr], NullResponse, EmptyResponse); reason != "" {
			return reason
		}
	}
	e.ID = exampleID(e)
	if l.opts.Columns.ID != "" {
		if e.ID, reason = l.text(columnTemplate(l.opts.Columns.ID), cells[np+nr:], NullID, NullID); reason != "" {
			return reason
		}
	}
	split := l.splitter.of(listed, e.Prompt)
	if l.ids[split] == nil {
		l.ids[split] = map[string]bool{}
	}
	if l.ids[split][e.ID] {
		return DuplicateID
	}
	l.ids[split][e.ID] = true
	l.data.Splits[split] = append(l.data.Splits[split], e)
	return ""
}

// text renders a template from the cells of its columns. It is empty if all of
// them are, whatever the template puts around them.
func (l *loader) text(t template, cells []cell, null, empty Reason) (string, Reason) {
	values := make([]string, len(cells))
	blank := true
	for i, c := range cells {
		switch c.state {
		case cellMissing:
			return "", MissingColumn
		case cellWrongType:
			return "", WrongType
		case cellNull:
			return "", null
		case cellInvalidUTF8:
			return "", InvalidUTF8
		}
		values[i] = c.text
		blank = blank && strings.TrimSpace(c.text) == ""
	}
	if blank {
		return "", empty
	}
	text := t.render(values)
	if l.opts.trim() {
		text = strings.TrimSpace(text)
	}
	return text, ""
}

// exampleID is the id of an example that has none: of its text and place, so
// that it stays the same when other rows or files come and go.
func exampleID(e Example) string {
	h := sha256.New()
	for _, part := range []string{e.Prompt, e.Response, e.File, strconv.Itoa(e.Row)} {
		fmt.Fprintf(h, "%d:%s", len(part), part) // lengths, so that no two lists of parts run together
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func (l *loader) finish() (*Dataset, error) {
	d := l.data
	for name, examples := range d.Splits {
		kept := limitExamples(examples, l.opts.Limit, l.opts.SplitSeed)
		d.Counts.Unused += len(examples) - len(kept)
		d.Splits[name], d.Counts.Examples[name] = kept, len(kept)
	}
	if len(d.Splits) == 0 {
		return nil, fmt.Errorf("load %s: %w in %d rows%s", d.sourceNames(), ErrNoExamples, d.Counts.Rows, d.Counts.reasons())
	}
	// A split asked for is there, even if it is empty.
	for _, names := range [][]string{sortedKeys(l.opts.Files), sortedKeys(l.opts.Split)} {
		for _, name := range names {
			if _, ok := d.Splits[name]; !ok && name != "" {
				d.Splits[name], d.Counts.Examples[name] = nil, 0
			}
		}
	}
	return d, nil
}

func (d *Dataset) sourceNames() string {
	names := make([]string, len(d.Sources))
	for i, s := range d.Sources {
		names[i] = s.File
	}
	return strings.Join(names, ", ")
}

// reasons lists the counts of rejected rows: " (3 null_prompt, 1 too_long)".
func (c Counts) reasons() string {
	var parts []string
	for reason, n := range c.Rejected {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " (" + strings.Join(parts, ", ") + ")"
}

func fileSHA256(path string) (string, error) {
	info, err := os.Stat(path) // before opening, which waits for ever on a named pipe
	if err != nil {
		return "", err // os names the file
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("read %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
