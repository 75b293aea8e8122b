package cpu

import (
	"runtime"
	"sync/atomic"
	"time"
)

// team hands pieces of work to helper goroutines. Kernels follow each other
// within microseconds, and waking an idle processor takes some 35 µs: so a
// helper that has finished looks out for more work for a while before it ends.
// One that is late misses nothing: the caller does all pieces that nobody has
// taken, and takes the job back from helpers that have not begun.
type team struct {
	seats []seat // one per helper
	job   job    // the one job at a time
}

// job is pieces 0 ≤ i < items of work.
type job struct {
	body  func(thread, item int)
	items int64
	next  atomic.Int64
}

// seat is a helper's place, on a cache line of its own.
type seat struct {
	state atomic.Int32
	_     [60]byte
}

// The states of a seat. The caller sets posted, and takes it back; the helper
// sets busy, free after it, and vacant at its end.
const (
	vacant int32 = iota // no goroutine
	free                // it looks out for work
	posted              // the job waits for it
	busy                // it does the job
)

const (
	// lookout is how long a helper looks out for work, in pauses of the
	// processor of 20 to 60 ns, and courtesy how many it takes before it lets other goroutines run.
	lookout  = 4000
	courtesy = 64
	// patience is how many pauses the caller waits for busy helpers before it
	// sleeps: then the system has taken their processor away.
	patience = 4000
)

// do runs the pieces on the calling goroutine, as thread 0, and on up to that
// many helpers, threads 1 and up.
func (t *team) do(helpers, items int, body func(thread, item int)) {
	t.job.body, t.job.items = body, int64(items)
	t.job.next.Store(0)
	for i := range helpers {
		s := &t.seats[i]
		if !s.state.CompareAndSwap(free, posted) {
			s.state.Store(posted) // vacant: only the caller fills seats
			go t.help(i)
		}
	}
	t.job.run(0)
	for i := range helpers {
		t.seats[i].wait()
	}
	t.job.body = nil
}

// run does pieces until none is left.
func (j *job) run(thread int) {
	for {
		i := j.next.Add(1) - 1
		if i >= j.items {
			return
		}
		j.body(thread, int(i))
	}
}

// wait takes the job back if the helper has not begun, and else waits for its end.
func (s *seat) wait() {
	if s.state.CompareAndSwap(posted, free) {
		return
	}
	for n := 0; s.state.Load() == busy; n++ {
		if n < patience {
			pause()
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// help is a helper's life.
func (t *team) help(i int) {
	s := &t.seats[i]
	for idle := 1; ; idle++ {
		switch {
		case s.state.CompareAndSwap(posted, busy):
			t.job.run(i + 1)
			s.state.Store(free)
			idle = 0
		case idle > lookout && s.state.CompareAndSwap(free, vacant):
			return
		case idle%courtesy == 0:
			runtime.Gosched()
		default:
			pause()
		}
	}
}
