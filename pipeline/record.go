package pipeline

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/retort-ml/retort/internal/atomicfile"
)

const (
	recordName     = "run.json"
	maxRecordBytes = 64 << 20
)

// Status says how a run stands.
type Status string

// The states of a run.
const (
	Running     Status = "running"
	Done        Status = "done"
	Failed      Status = "failed"
	Interrupted Status = "interrupted" // its context was cancelled
	Dead        Status = "dead"        // its process ended without saying how
	Unreadable  Status = "unreadable"  // run.json is damaged
)

// Record says what one run did. It is run.json in the run's directory.
type Record struct {
	ID         string        `json:"id"` // STAMP-HEX6; later runs sort after earlier ones
	Status     Status        `json:"status"`
	Program    string        `json:"program"`
	Recipe     string        `json:"recipe"`
	RecipeText string        `json:"recipe_text"` // as resolved
	Targets    []string      `json:"targets,omitempty"`
	Host       string        `json:"host"`
	PID        int           `json:"pid"`
	Started    time.Time     `json:"started"`
	Ended      time.Time     `json:"ended,omitzero"`
	Stages     []StageRecord `json:"stages"` // as planned, in order
	Error      string        `json:"error,omitempty"`
}

// Outcome says what became of a stage in a run.
type Outcome string

// The outcomes of a stage.
const (
	Pending          Outcome = "pending" // the run has not got there, or never did
	InProgress       Outcome = "running"
	Ran              Outcome = "ran"
	Reused           Outcome = "reused"
	StageFailed      Outcome = "failed"
	StageInterrupted Outcome = "interrupted"
)

// StageRecord says what became of one stage.
type StageRecord struct {
	Name      string  `json:"name"`
	Kind      string  `json:"kind"`
	ID        string  `json:"id"` // of its artifact
	Outcome   Outcome `json:"outcome"`
	Reason    string  `json:"reason"`               // why it was reused or run
	Seconds   float64 `json:"seconds"`              // wall time in Run and of committing
	PeakBytes int64   `json:"peak_bytes,omitempty"` // most memory the process had meanwhile; 0 where that cannot be told
	// PlannedBytes is what PeakBytes was foreseen to be; 0 if nobody could tell.
	PlannedBytes int64    `json:"planned_peak_bytes,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
	// Measured holds the last event of each kind.
	Measured map[string]json.RawMessage `json:"measured,omitempty"`
	Error    string                     `json:"error,omitempty"`
	Stack    string                     `json:"stack,omitempty"` // where a panic came from
}

func (r *StageRecord) dirName() string { return dirName(r.Kind, r.ID) }

// made says whether the run saw this stage's artifact in place. A record that
// somebody edited must not lead out of the store.
func (r *StageRecord) made() bool {
	return (r.Outcome == Ran || r.Outcome == Reused) && validHash(r.ID) && validKind(r.Kind)
}

func (r *Record) stage(name string) *StageRecord {
	for i := range r.Stages {
		if r.Stages[i].Name == name {
			return &r.Stages[i]
		}
	}
	return nil
}

func (r *Record) write(dir string) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("run record: %w", err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, recordName), buf.Bytes())
}

func readRecord(dir string) (*Record, error) {
	data, err := readBounded(filepath.Join(dir, recordName), maxRecordBytes)
	if err != nil {
		return nil, err
	}
	r := new(Record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, err
	}
	if r.ID != filepath.Base(dir) {
		return nil, fmt.Errorf("holds run %q", r.ID)
	}
	return r, nil
}

// runIDs returns the ids of all runs, the latest first.
func (s *Store) runIDs() ([]string, error) {
	ids, err := subdirectories(filepath.Join(s.dir, "runs"))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	slices.Reverse(ids)
	return ids, nil
}

// Runs returns the record of every run, the latest first. A record that says
// running, but whose process is gone, is returned as Dead; one that cannot be
// read as Unreadable, with the reason in Error.
func (s *Store) Runs() ([]*Record, error) {
	ids, err := s.runIDs()
	if err != nil {
		return nil, err
	}
	list := make([]*Record, 0, len(ids))
	for _, id := range ids {
		r, err := s.loadRun(id)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", id, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// loadRun looks at the lock before the record: a run that ends in between has
// written its last status.
func (s *Store) loadRun(id string) (*Record, error) {
	alive, err := lockHeld(s.runLock(id))
	if err != nil {
		return nil, err
	}
	r, err := readRecord(s.runDir(id))
	switch {
	case errors.Is(err, fs.ErrNotExist): // its process is just starting, or died then
		r = &Record{ID: id, Status: Running}
	case err != nil:
		return &Record{ID: id, Status: Unreadable, Error: fmt.Sprintf("%s: %v", recordName, cause(err))}, nil
	}
	if r.Status == Running && !alive {
		r.Status = Dead
	}
	return r, nil
}

// newRunID returns an id that sorts by time and that no other process draws.
func newRunID(now time.Time) string {
	return now.UTC().Format("20060102T150405.000000Z") + "-" + randomHex()
}

// randomHex returns six hex digits.
func randomHex() string {
	var b [3]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
