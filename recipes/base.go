package recipes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/quantize"
)

// bases are the formats that a train stage's base may name.
var bases = []string{"f16", "bf16", "q8_0", "q4_0", "nf4"}

func (s *trainStage) checkBase(c *checker) {
	switch {
	case s.Base == "":
	case !isBase(s.Base):
		c.blame("base", "%s", unknown("format of a frozen base", s.Base, bases))
	case s.LoRA == nil:
		c.blame("base", "it is what lora's updates are trained over: without lora all weights are trained, in float32")
	default:
		q, ok := c.recipe.find(head(s.Student)).(*quantizeStage)
		if !ok {
			return
		}
		have, err := compute.ParseFormat(q.Options.WithDefaults().Type)
		if err == nil && have.BlockValues() > 1 && !strings.EqualFold(have.String(), s.Base) {
			c.blame("base", "%s is %s already: begin with the model that it was made from, %s", s.Student, have, q.Model)
		}
	}
}

func isBase(name string) bool {
	return slices.ContainsFunc(bases, func(b string) bool { return strings.EqualFold(b, name) })
}

// freeze stores the linear layers below the low-rank updates as Base says.
func (s *trainStage) freeze(m *model.Model) error {
	if s.Base == "" {
		return nil
	}
	f, err := compute.ParseFormat(s.Base)
	if err != nil {
		return err
	}
	if err := quantize.Frozen(m, f); err != nil {
		return fmt.Errorf("base: %w", err)
	}
	return nil
}

// thaw is the student as it was before freeze, with the adapter in dir: what is
// stored in fewer bits is only trained over, never written.
func (s *trainStage) thaw(w *pipeline.Work, r *Recipe, dir string) (*loaded, error) {
	l, err := r.load(w, s.Student)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.model.Merge(), l.model.LoadAdapter(dir)); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}
