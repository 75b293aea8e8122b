package memory

import "runtime/debug"

// LimitGarbage lets garbage pile up to that many percent of what is in use
// before it is collected, until restore is called; by default it is as much as
// is in use. Collecting often is cheap where most memory is arrays of numbers,
// which the collector does not search. It holds for the whole program, and
// leaves a stricter setting of the user's alone. What was garbage before goes
// back to the system at once, and at the end what is then.
func LimitGarbage(percent int) (restore func()) {
	debug.FreeOSMemory()
	before := debug.SetGCPercent(percent)
	if before >= 0 && before < percent {
		debug.SetGCPercent(before)
	}
	return func() {
		debug.SetGCPercent(before)
		debug.FreeOSMemory()
	}
}
