package train

import (
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
)

// rateFactor is what p's learning rate is of the others', with LoRA+: PEFT
// tells parameters apart by name and by being vectors. An embedding's A and B
// have the rate that PEFT documents for them; its code looks for them among
// modules, not parameters, finds none, and trains them at the others' rate: to
// repeat that, set LoRAPlusEmbedding to LearningRate.
func (o *Options) rateFactor(p *autodiff.Param) float64 {
	switch {
	case o.LoRAPlusRatio == 0:
		return 1
	case strings.Contains(p.Name, ".lora_embedding_"):
		return o.LoRAPlusEmbedding / o.LearningRate
	case strings.Contains(p.Name, "lora_B") || len(p.Value.Shape()) == 1:
		return o.LoRAPlusRatio
	}
	return 1
}
