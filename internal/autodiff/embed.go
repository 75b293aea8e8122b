package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// Table is an embedding matrix (V,D).
type Table struct {
	Weight *compute.Weight
	Param  *Param // shares Weight's array when it is trained, else nil
}

// Embed looks up the rows of t that Inputs.Tokens name.
func (g *Graph) Embed(t *Table) Value {
	if g.err != nil {
		return Value{}
	}
	trains := g.train && t.Param != nil
	g.vocabulary = min(g.vocabulary, t.Weight.Out)
	y := g.array(t.Weight.In)
	op := &operation{name: "embed", out: []*result{y}, wrt: []bool{trains}, run: func() error {
		g.dev.Embed(y.mat(), t.Weight, g.in.Tokens, 1)
		return nil
	}}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dout := g.arrayOf(dy)
		n, err := g.gradient(op, &operation{run: func() error {
			g.dev.EmbedGrad(compute.Of(t.Param.Grad), dout.mat(), g.in.Tokens, 1)
			return nil
		}}, nil, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, trains, g.handle(trains))
}
