package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// HeadNorms are the RMSNorms of each head of queries and of keys, over its E
// columns, before they are turned (Henry et al. 2020, as Qwen3, Gemma 3 and
// OpenELM have them).
type HeadNorms struct {
	Query, Key *Gain // (E)
	Eps        float32
}

// eachHead calls f with the views of every head that is normalized, in all the
// arrays, which are packed as the input of a is, and its gain.
func (n *HeadNorms) eachHead(a *Attention, packed []compute.Mat, f func(gain *Gain, heads []compute.Mat)) {
	heads := make([]compute.Mat, len(packed))
	for h := range a.Heads + a.KVHeads {
		for i, m := range packed {
			heads[i] = m.ColRange(h*a.HeadDim, (h+1)*a.HeadDim)
		}
		gain := n.Query
		if h >= a.Heads {
			gain = n.Key
		}
		f(gain, heads)
	}
}

// Forward sets y to x, both packed as the input of a is, with queries and keys
// normalized. scales gives the row of a gain.
func (n *HeadNorms) Forward(dev compute.Device, y, x compute.Mat, a *Attention, scales func(*Gain) compute.Mat) {
	n.eachHead(a, []compute.Mat{y, x}, func(gain *Gain, heads []compute.Mat) {
		dev.RMSNorm(heads[0], heads[1], scales(gain), n.Eps)
	})
	_, _, v := a.Split(x)
	_, _, vy := a.Split(y)
	dev.Copy(vy, v)
}

// HeadNorm normalizes the heads of the packed queries and keys of a.
func (g *Graph) HeadNorm(x Value, a *Attention, n *HeadNorms) Value {
	if g.err != nil {
		return Value{}
	}
	if x.cols() != a.Cols() {
		return g.fail("head norm: input has %d columns, %d query and %d key/value heads of %d need %d",
			x.cols(), a.Heads, a.KVHeads, a.HeadDim, a.Cols())
	}
	for _, gain := range []*Gain{n.Query, n.Key} {
		if size := gain.Values.Shape().TotalSize(); size != a.HeadDim {
			return g.fail("head norm: heads of %d columns, gain %d", a.HeadDim, size)
		}
		g.reserveScales(gain)
	}
	trains := g.train && (n.Query.Param != nil || n.Key.Param != nil)
	y := x.result.like(x.cols())
	// It is not computed again where only cheap operations are: attention
	// changes its output in place.
	op := &operation{name: "head norm", out: []*result{y}, readsInput: true, wrt: []bool{x.active, trains}}
	op.run = func() error {
		n.Forward(g.dev, y.mat(), x.result.mat(), a, g.scales)
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, dout := x.result.like(x.cols()), g.arrayOf(dy)
		node, err := g.gradient(op, &operation{run: func() error {
			arrays := []compute.Mat{dx.mat(), dout.mat(), x.result.mat()}
			n.eachHead(a, arrays, func(gain *Gain, heads []compute.Mat) {
				g.dev.RMSNormGrad(heads[0], gain.grad(trains), heads[1], heads[2], g.scales(gain), n.Eps, false)
			})
			_, _, dv := a.Split(dx.mat())
			_, _, v := a.Split(dout.mat())
			g.dev.Copy(dv, v)
			return nil
		}}, dx, dy)
		return gorgonia.Nodes{node, node}, err
	}
	return g.record(op, x.active || trains, g.handle(trains), x)
}
