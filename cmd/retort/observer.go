package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/retort-ml/retort/pipeline"

	"golang.org/x/term"
)

// observer follows a run on the standard error.
type observer interface {
	pipeline.Observer
	close()
}

// newObserver shows bars on a terminal and plain lines elsewhere.
func newObserver(w io.Writer) observer {
	l := &lines{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newBars(l, f)
	}
	return l
}

// lines writes one line for each thing that happened, and progress at most
// every lineEvery.
type lines struct {
	w       io.Writer
	started time.Time // of the stage
	shown   time.Time // the last progress line
	first   pipeline.Progress
}

const lineEvery = 10 * time.Second

func (l *lines) printf(format string, args ...any) { fmt.Fprintf(l.w, format+"\n", args...) }

func (l *lines) Started(stage, reason string) {
	l.started, l.shown = time.Now(), time.Now()
	l.first = pipeline.Progress{}
	l.printf("%s: running (%s)", stage, reason)
}

func (l *lines) Progress(p pipeline.Progress) {
	if l.first.Stage == "" {
		l.first = p
	}
	if time.Since(l.shown) < lineEvery {
		return
	}
	l.shown = time.Now()
	l.printf("%s: %s", p.Stage, l.describe(p))
}

// describe is done/total with the rate and the time that remains.
func (l *lines) describe(p pipeline.Progress) string {
	rate := float64(p.Done-l.first.Done) / time.Since(l.started).Seconds()
	text := fmt.Sprintf("%d %s", p.Done, p.Unit)
	if p.Total > 0 {
		text = fmt.Sprintf("%d of %d %s", p.Done, p.Total, p.Unit)
	}
	if rate > 0 {
		text += fmt.Sprintf(", %.3g/s", rate)
		if p.Total > 0 {
			left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
			text += fmt.Sprintf(", %s left", left.Round(time.Second))
		}
	}
	return text
}

func (l *lines) Measured(pipeline.Event) {}

func (l *lines) Reused(s pipeline.StageRecord) { l.printf("%s: reused", s.Name) }

func (l *lines) Finished(s pipeline.StageRecord) {
	if s.Outcome == pipeline.Ran {
		l.printf("%s: done in %s", s.Name, seconds(s.Seconds))
		return
	}
	l.printf("%s: %s after %s", s.Name, s.Outcome, seconds(s.Seconds))
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

func (l *lines) Warning(stage, text string) { l.note(stage, "warning: "+text) }

func (l *lines) Log(stage, text string) { l.note(stage, text) }

func (l *lines) note(stage, text string) {
	if stage != "" {
		text = stage + ": " + text
	}
	l.printf("%s", text)
}

func (l *lines) close() {}
