package pipeline

import (
	"fmt"
	"sync"
	"time"
)

// progressEvery is the least time between two reports of progress.
const progressEvery = 100 * time.Millisecond

// Work is what a running stage is given. Its methods may be called from many
// goroutines at once, until Run of the stage returns; later calls do nothing.
type Work struct {
	// Dir is an empty directory, to be filled with the artifact's regular files.
	// manifest.json is written into it afterwards.
	Dir string
	// Scratch is a directory of this artifact that outlives an error and a
	// kill: for checkpoints and partial answers. It is removed when the artifact
	// is committed. What is in it may be torn where a kill struck.
	Scratch string
	// ID is the id the artifact will have.
	ID string

	stage  string
	inputs map[string]string // directories by stage
	posts  chan<- func(*runner)
	ended  <-chan struct{} // closed when nobody reads posts any more

	mu    sync.Mutex
	last  Progress // as posted
	shown time.Time
}

// Input returns the directory of the artifact that the named stage made. It
// panics if the stage does not list that name in Inputs.
func (w *Work) Input(stage string) string {
	dir, ok := w.inputs[stage]
	if !ok {
		panic(fmt.Sprintf("stage %s asks for input %q, which it does not list", w.stage, stage))
	}
	return dir
}

// Progress says how far the stage is, as often as it likes. A total of 0
// means that it is not known. A stage that continues partial work counts from
// what it found.
func (w *Work) Progress(done, total int64, unit string) {
	w.mu.Lock()
	p := Progress{Stage: w.stage, Done: done, Total: total, Unit: unit}
	complete := total > 0 && done >= total
	skip := p == w.last || !complete && time.Since(w.shown) < progressEvery
	if !skip {
		w.last, w.shown = p, time.Now()
	}
	w.mu.Unlock()
	if !skip {
		w.post(func(r *runner) { r.observer.Progress(p) })
	}
}

// Event reports a measurement: it goes to the run's events.jsonl, and the last
// of each kind to its record, never into an artifact. Fields must marshal to
// JSON; NaN and infinities become strings. An event that cannot be written
// fails the run.
func (w *Work) Event(kind string, fields map[string]any) {
	e, err := newEvent(w.stage, kind, fields)
	w.post(func(r *runner) {
		if err != nil {
			r.note(err)
			return
		}
		r.measured(e)
	})
}

// Warn reports something the user should look at that does not end the stage.
func (w *Work) Warn(text string) {
	w.post(func(r *runner) { r.warn(w.stage, text) })
}

// Log reports something worth a line.
func (w *Work) Log(text string) {
	w.post(func(r *runner) { r.log(w.stage, text) })
}

// post hands f to the goroutine that called Run.
func (w *Work) post(f func(*runner)) {
	select {
	case w.posts <- f:
	case <-w.ended:
	}
}
