package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/atomicfile"
)

// The files of a report's directory.
const (
	ReportFile   = "report.json"   // the Report, the same bytes for the same run
	ItemsFile    = "items.parquet" // its Rows, the same bytes for the same run
	TimingFile   = "timing.json"   // its Timing
	MarkdownFile = "report.md"     // both for people; holds clocks, so not reproducible
)

// maxReportBytes bounds what ReadReport takes into memory.
const maxReportBytes = 64 << 20

// Write writes the report's four files into dir, which it makes if needed. report.json
// comes last: where it is, the others are.
func (r *Report) Write(dir string) error {
	if want := r.Items * len(r.Models); len(r.Rows) != want {
		return fmt.Errorf("write report %s: it has %d rows for %d items of %d models: only a report of Evaluate can be written",
			dir, len(r.Rows), r.Items, len(r.Models))
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := datasets.WriteParquet(filepath.Join(dir, ItemsFile), r.Rows); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := writeJSON(filepath.Join(dir, TimingFile), r.Timing); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(dir, MarkdownFile), r.markdown); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := writeJSON(filepath.Join(dir, ReportFile), r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func writeJSON(path string, value any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, buf.Bytes())
}

// ReadReport reads what Write wrote into dir, but for the rows of items.parquet. A
// directory without timing.json gives a report without Timing.
func ReadReport(dir string) (*Report, error) {
	var r Report
	path := filepath.Join(dir, ReportFile)
	if err := readJSON(path, &r); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("read report: %s: %w", path, err)
	}
	err := readJSON(filepath.Join(dir, TimingFile), &r.Timing)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read report: %w", err)
	}
	return &r, nil
}

// readJSON decodes one strict JSON value of our Schema.
func readJSON(path string, into any) error {
	data, err := readBounded(path)
	if err != nil {
		return err
	}
	var version struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if version.Schema != Schema {
		return fmt.Errorf("%s: schema version %d; this program reads %d", path, version.Schema, Schema)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxReportBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxReportBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes: no report", path, maxReportBytes)
	}
	return data, nil
}

// check refuses what rendering relies on and JSON cannot say.
func (r *Report) check() error {
	identities := make([]Identity, len(r.Models))
	for i, m := range r.Models {
		identities[i] = m.Identity
	}
	faults := []error{checkIdentities(identities), r.Options.Validate()}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if r.Items < 1 {
		fault("items: %d: want at least 1", r.Items)
	}
	if len(r.Options.Metrics) == 0 || r.Options.Confidence == 0 {
		fault("options: want the resolved ones, with metrics and confidence")
	}
	for _, m := range r.Models {
		for _, metric := range m.Metrics {
			if _, err := metricNamed(metric.Name); err != nil {
				fault("model %q: %w", m.Name, err)
			}
			for _, c := range metric.Comparisons {
				if _, ok := r.model(c.Against); !ok {
					fault("model %q: compared with %.80q, which is no model of the report", m.Name, c.Against)
				}
				if c.P != nil && (c.PHolm == nil || !(math.Min(*c.P, *c.PHolm) >= 0 && math.Max(*c.P, *c.PHolm) <= 1)) {
					fault("model %q: compared with %q: want p and p_holm from 0 to 1", m.Name, c.Against)
				}
			}
		}
	}
	return errors.Join(faults...)
}
