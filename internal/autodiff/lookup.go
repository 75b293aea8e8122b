package autodiff

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// EmbedPositions looks up the rows of t that Inputs.Positions name: learned positions.
func (g *Graph) EmbedPositions(t *Table) Value {
	return g.lookup("position embedding", t, func(in *Inputs) []int32 { return in.Positions })
}

// EmbedTypes looks up the rows of t that Inputs.Types name.
func (g *Graph) EmbedTypes(t *Table) Value {
	return g.lookup("type embedding", t, func(in *Inputs) []int32 { return in.Types })
}

// lookup looks up the rows of t that a field of Inputs names, which the run
// checks: one for each row, within the table.
func (g *Graph) lookup(name string, t *Table, of func(*Inputs) []int32) Value {
	if g.err != nil {
		return Value{}
	}
	trains := g.train && t.Param != nil
	y := g.array(t.Weight.In)
	op := &operation{name: name, out: []*result{y}, wrt: []bool{trains}}
	op.run = func() error {
		ids := of(g.in)
		if len(ids) != g.rows {
			return fmt.Errorf("%d ids for %d rows", len(ids), g.rows)
		}
		for i, id := range ids {
			if id < 0 || int(id) >= t.Weight.Out {
				return fmt.Errorf("row %d: %d is outside the table of %d", i, id, t.Weight.Out)
			}
		}
		g.dev.Embed(y.mat(), t.Weight, ids, 1)
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dout := g.arrayOf(dy)
		n, err := g.gradient(op, &operation{run: func() error {
			g.dev.EmbedGrad(compute.Of(t.Param.Grad), dout.mat(), of(g.in), 1)
			return nil
		}}, nil, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, trains, g.handle(trains))
}
