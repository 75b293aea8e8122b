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
	y := g.dev.New(g.rows, t.Weight.In)
	op := &operation{name: "embed", wrt: []bool{trains}, run: func([]gorgonia.Value) (gorgonia.Value, error) {
		g.dev.Embed(compute.Of(y), t.Weight, g.in.Tokens, 1)
		return y, nil
	}}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		n, err := g.gradient(op, t.Weight.In, func(in []gorgonia.Value) (gorgonia.Value, error) {
			g.dev.EmbedGrad(compute.Of(t.Param.Grad), mat(in[0]), g.in.Tokens, 1)
			return in[0], nil
		}, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, t.Weight.In, trains, g.handle(trains))
}
