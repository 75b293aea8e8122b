package cpu

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestTeamDoesEveryPieceOnce runs many jobs, with pauses in which helpers end
// and with other goroutines that want the processors.
func TestTeamDoesEveryPieceOnce(t *testing.T) {
	for _, threads := range []int{2, 3, 9} {
		d := New(threads)
		stop := make(chan struct{})
		for range 2 {
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
						runtime.Gosched()
					}
				}
			}()
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			items := 1 + r.IntN(40)
			done := make([]int, items)
			d.parallel(items, func(w *worker, item int) {
				w.floats(packing, 8)[item%8] = 1 // the race detector sees two threads with one worker
				done[item]++
			})
			for i, n := range done {
				if n != 1 {
					t.Fatalf("%d threads: piece %d of %d was done %d times", threads, i, items, n)
				}
			}
			if r.IntN(500) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		close(stop)
	}
}

// TestTeamEnds: nothing runs on when there is no more work.
func TestTeamEnds(t *testing.T) {
	d := New(4)
	before := runtime.NumGoroutine()
	var n atomic.Int32
	d.parallel(4, func(*worker, int) { n.Add(1); time.Sleep(time.Millisecond) })
	for limit := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines ten seconds after the last job, %d before it", runtime.NumGoroutine(), before)
		}
	}
	if n.Load() != 4 {
		t.Errorf("%d of 4 pieces were done", n.Load())
	}
}

// BenchmarkParallel is what sharing work costs when jobs follow each other.
func BenchmarkParallel(b *testing.B) {
	d := New(2)
	for b.Loop() {
		d.parallel(2, func(*worker, int) {})
	}
}
