package autodiff

import "gorgonia.org/gorgonia"

// Dropout keeps each element with probability 1−p and divides it by 1−p, in
// training; otherwise, and for p = 0, it is x itself.
func (g *Graph) Dropout(x Value, p float32) Value {
	if !(p >= 0 && p < 1) {
		return g.fail("dropout: probability %v: want 0 to below 1", p)
	}
	if g.err != nil || p == 0 || !g.train {
		return x
	}
	y := x.result.like(x.cols())
	op := &operation{name: "dropout", out: []*result{y}, wrt: []bool{x.active}}
	op.run = func() error {
		g.dev.Dropout(y.mat(), x.result.mat(), p, g.key(op.id))
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, dout := x.result.like(x.cols()), g.arrayOf(dy)
		n, err := g.gradient(op, &operation{run: func() error {
			g.dev.Dropout(dx.mat(), dout.mat(), p, g.key(op.id))
			return nil
		}}, dx, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, x.active, nil, x)
}
