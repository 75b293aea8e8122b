package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// moment is AdamW's state of one Param: running means of the gradient and of
// its square, of the Param's shape.
type moment struct{ m, v *tensor.Dense }

func newMoment(dev compute.Device, p *autodiff.Param) moment {
	return moment{dev.New(p.Value.Shape()...), dev.New(p.Value.Shape()...)}
}

// update does one AdamW update from the summed gradients times scale, clipped
// as torch.nn.utils.clip_grad_norm_ does it. It returns the norm before
// clipping, and the learning rate.
func (s *state) update(scale float64) (norm, rate float64, err error) {
	dev := s.Student.Device()
	total := 0.0
	for _, p := range s.params {
		total += dev.SumSquares(compute.Of(p.Grad))
	}
	norm = math.Sqrt(total) * scale
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return 0, 0, fmt.Errorf("norm of the gradient is %v: %w", norm, autodiff.ErrNotFinite)
	}
	if s.o.ClipNorm > 0 && norm > s.o.ClipNorm {
		scale *= s.o.ClipNorm / (norm + 1e-6)
	}
	rate = s.o.rate(s.step+1, s.steps)
	for i, p := range s.params {
		decay := s.o.WeightDecay
		if !s.DecayAll && !decays(p) {
			decay = 0
		}
		dev.AdamW(compute.Of(p.Value), compute.Of(p.Grad), compute.Of(s.moments[i].m), compute.Of(s.moments[i].v),
			compute.AdamW{Rate: rate * s.o.rateFactor(p), Beta1: s.o.Beta1, Beta2: s.o.Beta2, Eps: s.o.Epsilon, Decay: decay,
				Step: s.step + 1, GradScale: float32(scale)})
	}
	return norm, rate, nil
}

// decays tells whether weights decay, as transformers' Trainer and PEFT's
// create_loraplus_optimizer have it: all but biases and the gains of norms,
// which are the vectors here besides DoRA's magnitudes.
func decays(p *autodiff.Param) bool {
	return len(p.Value.Shape()) > 1 || strings.HasSuffix(p.Name, ".lora_magnitude_vector.weight")
}
