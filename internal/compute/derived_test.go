package compute_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorgonia.org/tensor"

	"github.com/retort-ml/retort/internal/compute"
)

func TestDerivedIsBuiltOnce(t *testing.T) {
	w, err := compute.NewWeight(compute.F16, 1, 1, make([]byte, 2))
	if err != nil {
		t.Fatal(err)
	}
	if v := w.Derived("sum", nil); v != nil {
		t.Errorf("before anything was built: %v", v)
	}
	var built atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if v := w.Derived("sum", func() any {
				time.Sleep(time.Millisecond) // so that others ask too
				return built.Add(1)
			}); v != int32(1) {
				t.Errorf("got %v, want 1", v)
			}
		})
	}
	all.Wait()
	if v := w.Derived("sum", nil); v != int32(1) {
		t.Errorf("later: %v", v)
	}
	if v := w.Derived("other", func() any { return 5 }); v != 5 {
		t.Errorf("of another key: %v", v)
	}
	shared := compute.SharedF32(tensor.New(tensor.WithShape(1, 1), tensor.Of(tensor.Float32)))
	mustPanic(t, "a shared weight", func() { shared.Derived("sum", nil) })
}
