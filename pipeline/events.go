package pipeline

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	eventsName    = "events.jsonl"
	maxEventBytes = 16 << 20
)

// Event is one line of a run's events.jsonl: a measurement of a stage, or
// what the run itself did (kinds "stage started", "stage reused", "stage
// finished", "warning" and "log").
type Event struct {
	Time   time.Time       `json:"time"` // UTC
	Stage  string          `json:"stage"`
	Kind   string          `json:"kind"`
	Fields json.RawMessage `json:"fields"` // a JSON object
}

// newEvent marshals the fields at once: their owner may change them later.
func newEvent(stage, kind string, fields map[string]any) (Event, error) {
	clean := make(map[string]any, len(fields))
	for k, v := range fields {
		clean[k] = finite(v)
	}
	data, err := marshalPlain(clean)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", kind, err)
	}
	if len(data) > maxEventBytes/2 {
		return Event{}, fmt.Errorf("event %s: %d bytes, more than %d", kind, len(data), maxEventBytes/2)
	}
	return Event{Time: time.Now().UTC(), Stage: stage, Kind: kind, Fields: data}, nil
}

// finite turns what JSON has no number for into a string, so that a rate of
// 0/0 does not end the run that measured it.
func finite(v any) any {
	f, ok := v.(float64)
	if f32, is32 := v.(float32); is32 {
		f, ok = float64(f32), true
	}
	if ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return fmt.Sprint(f)
	}
	return v
}

// eventLog appends whole lines to events.jsonl.
type eventLog struct {
	file *os.File
	size int64
}

func newEventLog(dir string) (*eventLog, error) {
	f, err := os.OpenFile(filepath.Join(dir, eventsName), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("event log: %w", err)
	}
	return &eventLog{file: f}, nil
}

// append writes one line. If the disk takes only a part of it, that part is
// taken back.
func (l *eventLog) append(e Event) error {
	line, err := marshalPlain(e)
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	n, err := l.file.Write(append(line, '\n'))
	if err != nil {
		if n > 0 {
			err = errors.Join(err, l.file.Truncate(l.size))
		}
		return fmt.Errorf("event log: %w", err)
	}
	l.size += int64(n)
	return nil
}

func (l *eventLog) close() error { return l.file.Close() }

// Events reads the events of a run in order. A last line that a kill cut short
// is left out; any other line that is not an event is an error with its number.
func (s *Store) Events(runID string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ids, err := s.runIDs()
		if err == nil && !slices.Contains(ids, runID) {
			err = fmt.Errorf("events: no run %q", runID)
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
		f, err := os.Open(filepath.Join(s.runDir(runID), eventsName))
		if errors.Is(err, fs.ErrNotExist) {
			return // it died before its first event
		}
		if err != nil {
			yield(Event{}, fmt.Errorf("events: %w", err))
			return
		}
		defer f.Close()
		readEvents(f, func(e Event, err error) bool {
			if err != nil {
				err = fmt.Errorf("events of run %s: %w", runID, err)
			}
			return yield(e, err)
		})
	}
}

func readEvents(r io.Reader, yield func(Event, error) bool) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventBytes)
	lines.Split(wholeLines)
	for n := 1; lines.Scan(); n++ {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			yield(Event{}, fmt.Errorf("line %d: %w", n, err))
			return
		}
		if !yield(e, nil) {
			return
		}
	}
	if err := lines.Err(); err != nil {
		yield(Event{}, err)
	}
}

// wholeLines is bufio.ScanLines without a last line that has no end.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	advance, line, err := bufio.ScanLines(data, false)
	if atEOF && advance == 0 {
		return len(data), nil, err
	}
	return advance, line, err
}
