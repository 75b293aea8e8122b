package main

import (
	"io"
	"os"

	"github.com/retort-ml/retort/pipeline"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bars shows the running stage as a bar below the lines.
type bars struct {
	*lines
	progress *mpb.Progress
	bar      *mpb.Bar
	text     string
}

func newBars(l *lines, terminal *os.File) *bars {
	b := &bars{lines: l, progress: mpb.New(mpb.WithOutput(terminal), mpb.WithWidth(40))}
	l.w = b.progress // lines are printed above the bar
	return b
}

var _ io.Writer = (*mpb.Progress)(nil)

// Progress moves the bar, and makes it at the first call of a stage.
func (b *bars) Progress(p pipeline.Progress) {
	if b.first.Stage == "" {
		b.first = p
	}
	b.text = b.describe(p)
	if b.bar == nil {
		text := func(decor.Statistics) string { return b.text }
		b.bar = b.progress.AddBar(p.Total, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(p.Stage)), mpb.AppendDecorators(decor.Any(text)))
	}
	b.bar.SetTotal(p.Total, false)
	b.bar.SetCurrent(p.Done)
}

// Finished takes the bar away.
func (b *bars) Finished(s pipeline.StageRecord) {
	if b.bar != nil {
		b.bar.Abort(true)
		b.bar.Wait()
		b.bar = nil
	}
	b.lines.Finished(s)
}

func (b *bars) close() { b.progress.Wait() }
