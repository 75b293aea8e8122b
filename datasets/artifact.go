package datasets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// describes a dataset directory; the splits lie beside it.
const descriptionFile = "dataset.json"

const (
	descriptionFormat   = 1
	maxDescriptionBytes = 64 << 20
)

// description is dataset.json. It names no clock and no directory, so that the
// same rows give the same bytes wherever they lay.
type description struct {
	Format int `json:"format"` // 1
	Rule
	Counts        Counts                `json:"counts"`
	Statistics    map[string]Statistics `json:"statistics,omitempty"` // per split
	Contamination *Contamination        `json:"contamination,omitempty"`
	Labels        []string              `json:"labels,omitempty"` // distinct responses, if they are 1,000 or fewer
	Rejected      []Rejection           `json:"rejected,omitempty"`
	Sources       []Source              `json:"sources"`
}

// describe writes dataset.json.
func (d *Dataset) describe(dir string) error {
	text, err := json.MarshalIndent(description{
		Format: descriptionFormat, Rule: d.rule, Counts: d.Counts, Statistics: d.Statistics,
		Contamination: d.Contamination, Labels: d.labels,
		Rejected: d.Rejected, Sources: d.Sources,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write dataset %s: %w", dir, err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, descriptionFile), append(text, '\n'))
}

// Open opens a dataset that Make wrote. It reads the description and how many
// rows each file has. Errors name the file; among them that a split does not
// have the rows that dataset.json says.
func Open(dir string) (*Dataset, error) {
	path := filepath.Join(dir, descriptionFile)
	desc, err := readDescription(path)
	if err != nil {
		return nil, fmt.Errorf("open dataset: read %s: %w", path, err)
	}
	d := &Dataset{
		Rejected: desc.Rejected, Counts: desc.Counts, Sources: desc.Sources, Statistics: desc.Statistics,
		Contamination: desc.Contamination, dir: dir, rule: desc.Rule, labels: desc.Labels,
	}
	for _, split := range d.Splits() {
		if !splitName.MatchString(split) {
			return nil, fmt.Errorf("open dataset: read %s: %q cannot name a split", path, split)
		}
		f, err := d.openSplit(split)
		if err != nil {
			return nil, fmt.Errorf("open dataset: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("open dataset: %w", err)
		}
	}
	return d, nil
}

// openSplit opens the file of a split that dataset.json names.
func (d *Dataset) openSplit(split string) (*parquetFile, error) {
	file := filepath.Join(d.dir, split+".parquet")
	f, err := openParquet(file)
	if err != nil {
		return nil, err
	}
	have := int64(0)
	for _, group := range f.plain.RowGroups() {
		have += group.NumRows()
	}
	if want := d.Counts.Examples[split]; have != int64(want) {
		return nil, errors.Join(fmt.Errorf("%s has %d rows, and %s says %d", file, have, descriptionFile, want), f.Close())
	}
	return f, nil
}

// Examples yields the examples of a split in order, a few hundred of them in
// memory at a time. An error, after which nothing follows, names the file; a
// split that there is not is one.
func (d *Dataset) Examples(split string) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		if _, ok := d.Counts.Examples[split]; !ok {
			yield(Example{}, fmt.Errorf("dataset %s has no split %q; it has %s", d.dir, split, nameList(d.Splits())))
			return
		}
		f, err := d.openSplit(split)
		if err != nil {
			yield(Example{}, err)
			return
		}
		defer f.Close()
		for e, err := range parquetSeq[Example](f, optionalColumns) {
			if err != nil {
				yield(Example{}, fmt.Errorf("read %s: %w", f.path, err))
				return
			}
			if len(e.Choices) == 0 {
				e.Choices = nil
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// optionalColumns came later: earlier artifacts lack them.
var optionalColumns = []string{"messages", "turn", "tools", "choices", "rejected", "reference", "group", "source"}

// Read reads all examples of a split, which must fit in memory.
func (d *Dataset) Read(split string) ([]Example, error) {
	list := make([]Example, 0, min(d.Len(split), 1<<20))
	for e, err := range d.Examples(split) {
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

func readDescription(path string) (description, error) {
	var desc description
	info, err := os.Stat(path)
	if err != nil {
		return desc, errors.Unwrap(err) // the caller names the file
	}
	if info.Size() > maxDescriptionBytes {
		return desc, fmt.Errorf("%d bytes are too many", info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return desc, errors.Unwrap(err)
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&desc); err != nil {
		return desc, err
	}
	if in.More() {
		return desc, errors.New("something follows the JSON object")
	}
	if desc.Format != descriptionFormat {
		return desc, fmt.Errorf("format %d, want %d", desc.Format, descriptionFormat)
	}
	return desc, nil
}
