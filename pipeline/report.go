package pipeline

import (
	"encoding/json"
	"fmt"
)

// maxWarnings is how many warnings of one stage its record keeps; all are in
// events.jsonl.
const maxWarnings = 100

// stageRecord returns the record of n, which gets one if it was not planned.
func (r *runner) stageRecord(n *node) *StageRecord {
	if sr := r.record.stage(n.stage.Name); sr != nil {
		return sr
	}
	r.record.Stages = append(r.record.Stages, StageRecord{
		Name: n.stage.Name, Kind: n.stage.Kind, ID: n.id, Outcome: Pending, Reason: "needed by a stage that was to be reused",
	})
	return &r.record.Stages[len(r.record.Stages)-1]
}

// note keeps the first failure to write the record; the run ends with it.
func (r *runner) note(err error) {
	if err != nil && r.fault == nil {
		r.fault = err
		r.cancel()
	}
}

// event appends to events.jsonl what the run itself does.
func (r *runner) event(stage, kind string, fields map[string]any) {
	e, err := newEvent(stage, kind, fields)
	if err == nil {
		err = r.events.append(e)
	}
	r.note(err)
}

func (r *runner) measured(e Event) {
	r.note(r.events.append(e))
	if sr := r.record.stage(e.Stage); sr != nil {
		if sr.Measured == nil {
			sr.Measured = make(map[string]json.RawMessage)
		}
		sr.Measured[e.Kind] = e.Fields
	}
	r.observer.Measured(e)
}

func (r *runner) warn(stage, text string) {
	r.event(stage, "warning", map[string]any{"text": text})
	if sr := r.record.stage(stage); sr != nil && len(sr.Warnings) < maxWarnings {
		sr.Warnings = append(sr.Warnings, text)
	}
	r.observer.Warning(stage, text)
}

func (r *runner) log(stage, text string) {
	r.event(stage, "log", map[string]any{"text": text})
	r.observer.Log(stage, text)
}

func (r *runner) started(sr *StageRecord) {
	sr.Outcome = InProgress
	r.event(sr.Name, "stage started", map[string]any{"id": sr.ID, "reason": sr.Reason})
	r.note(r.record.write(r.dir))
	r.observer.Started(sr.Name, sr.Reason)
}

// reuse notes that the artifact of n is there.
func (r *runner) reuse(n *node) error {
	r.done[n] = true
	sr := r.stageRecord(n)
	if n.action == ActionRun {
		sr.Reason = "made meanwhile by another process"
	}
	sr.Outcome = Reused
	r.event(sr.Name, "stage reused", map[string]any{"id": sr.ID})
	r.observer.Reused(*sr)
	return r.fault
}

func (r *runner) finished(sr *StageRecord) {
	fields := map[string]any{"id": sr.ID, "outcome": sr.Outcome, "seconds": sr.Seconds}
	if sr.Error != "" {
		fields["error"] = sr.Error
	}
	r.event(sr.Name, "stage finished", fields)
	r.note(r.record.write(r.dir))
	r.observer.Finished(*sr)
}

// holder is what this run writes into the locks it holds.
func (r *runner) holder() string {
	return fmt.Sprintf("process %d on %s, run %s", r.record.PID, r.record.Host, r.record.ID)
}
