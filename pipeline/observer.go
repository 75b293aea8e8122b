package pipeline

// Observer follows a run, for a terminal or a log. All its methods are called
// from the goroutine that called Run, one at a time; a slow one slows the run.
type Observer interface {
	// Started is called when a stage begins to run, with why it does.
	Started(stage, reason string)
	// Progress is called at most ten times a second, and for the last of a stage.
	Progress(p Progress)
	// Measured is called for each event a stage reports.
	Measured(e Event)
	// Reused is called for a stage whose artifact is there already.
	Reused(s StageRecord)
	// Finished is called when a stage has run, failed or was interrupted.
	Finished(s StageRecord)
	// Warning and Log pass on a sentence; stage is empty for the run itself.
	Warning(stage, text string)
	Log(stage, text string)
}

// Progress says how far a stage is. A stage that continues after a kill
// starts above zero.
type Progress struct {
	Stage string
	Done  int64
	Total int64 // 0 if not known
	Unit  string
}

// quiet observes nothing.
type quiet struct{}

func (quiet) Started(string, string) {}
func (quiet) Progress(Progress)      {}
func (quiet) Measured(Event)         {}
func (quiet) Reused(StageRecord)     {}
func (quiet) Finished(StageRecord)   {}
func (quiet) Warning(string, string) {}
func (quiet) Log(string, string)     {}
