package cpu
import ("testing";"fmt";"time";"github.com/retort-ml/retort/internal/compute")
func TestTmpMin(t *testing.T) {
  for _, k := range available()[2:] {
	d := New(1); d.kernels = k
	best := func(f func()) float64 { m := 1e9; end := time.Now().Add(250*time.Millisecond); for i:=0; i<4||time.Now().Before(end);i++ { s := time.Now(); f(); if e := time.Since(s).Seconds(); e < m { m = e } }; return m }
	for _, shape := range [][3]int{{512, 576, 576}, {128,49152,576}, {64,49152,576}, {512, 1500, 160}, {1024, 96, 256}, {64, 576, 576},{16,576,576}} {
		n, out, in := shape[0], shape[1], shape[2]
		x, y := compute.Of(d.New(n, in)), compute.Of(d.New(n, out))
		fl := 2*float64(n)*float64(out)*float64(in)
		fmt.Printf("%v", shape)
		for _, f := range []compute.Format{compute.F32, compute.Q8_0} {
			w, _ := randomWeight(t, random(), f, out, in)
			a := best(func(){ d.MatMul(y,x,w,1,false)}); b := best(func(){ d.MatMulGrad(x,y,w,1,false)})
			fmt.Printf("  %s %.0f %.0f", f, fl/a/1e9, fl/b/1e9)
		}
		fmt.Println()
	}
  }
}
