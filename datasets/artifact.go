package datasets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	Counts   Counts      `json:"counts"`
	Labels   []string    `json:"labels,omitempty"` // distinct responses, if they are 1,000 or fewer
	Rejected []Rejection `json:"rejected,omitempty"`
	Sources  []Source    `json:"sources"`
}

// Write writes the dataset into dir, which must exist: <split>.parquet with the
// columns id, prompt, response, file and row, and dataset.json, which is
// written last. The same dataset gives the same bytes.
func (d *Dataset) Write(dir string) error {
	for _, split := range sortedKeys(d.Splits) {
		if !splitName.MatchString(split) {
			return fmt.Errorf("write dataset %s: %q cannot name a split", dir, split)
		}
		if err := WriteParquet(filepath.Join(dir, split+".parquet"), d.Splits[split]); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(description{
		Format: descriptionFormat, Rule: d.rule, Counts: d.Counts, Labels: d.Labels(),
		Rejected: d.Rejected, Sources: d.Sources,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write dataset %s: %w", dir, err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, descriptionFile), append(text, '\n'))
}

// Open reads a dataset that Write wrote. Errors name the file; among them that
// a split does not have the rows that dataset.json says.
func Open(dir string) (*Dataset, error) {
	path := filepath.Join(dir, descriptionFile)
	desc, err := readDescription(path)
	if err != nil {
		return nil, fmt.Errorf("open dataset: read %s: %w", path, err)
	}
	d := &Dataset{
		Splits: map[string][]Example{}, Rejected: desc.Rejected, Counts: desc.Counts,
		Sources: desc.Sources, rule: desc.Rule,
	}
	for _, split := range sortedKeys(desc.Counts.Examples) {
		if !splitName.MatchString(split) {
			return nil, fmt.Errorf("open dataset: read %s: %q cannot name a split", path, split)
		}
		file := filepath.Join(dir, split+".parquet")
		rows, err := ReadParquet[Example](file)
		if err != nil {
			return nil, fmt.Errorf("open dataset: %w", err)
		}
		if want := desc.Counts.Examples[split]; len(rows) != want {
			return nil, fmt.Errorf("open dataset: %s has %d rows, and %s says %d", file, len(rows), descriptionFile, want)
		}
		for i := range rows {
			if len(rows[i].Choices) == 0 {
				rows[i].Choices = nil
			}
		}
		d.Splits[split] = rows
	}
	return d, nil
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
