package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/bytesize"
)

// Options control Run. Zero fields take the defaults given at each.
type Options struct {
	Epochs       int     `yaml:"epochs"`        // passes over the data; 0 means 1, unless steps is set
	Steps        int     `yaml:"steps"`         // optimizer updates, instead of epochs; 0 means what epochs says
	LearningRate float64 `yaml:"learning_rate"` // peak; 0 means 0.0002
	Warmup       float64 `yaml:"warmup"`        // share of the steps in which the rate rises from 0, 0 to 1
	MinRate      float64 `yaml:"min_rate"`      // share of the peak at which the cosine ends, 0 to 1
	Beta1        float64 `yaml:"beta1"`         // AdamW's; 0 means 0.9
	Beta2        float64 `yaml:"beta2"`         // AdamW's; 0 means 0.999
	Epsilon      float64 `yaml:"epsilon"`       // AdamW's; 0 means 1e-8
	WeightDecay  float64 `yaml:"weight_decay"`  // of all but gains of norms and biases; 0 is none
	// LoRAPlusRatio is how many times the learning rate low-rank B matrices, gains
	// and magnitudes have (LoRA+, Hayou et al. 2024, as PEFT's
	// create_loraplus_optimizer does it); 0 means the same rate for all.
	LoRAPlusRatio float64 `yaml:"loraplus_lr_ratio,omitempty" json:",omitempty"`
	// LoRAPlusEmbedding is the peak rate of low-rank updates of an embedding
	// with LoRAPlusRatio; 0 means 1e-6.
	LoRAPlusEmbedding float64 `yaml:"loraplus_lr_embedding,omitempty" json:",omitempty"`
	ClipNorm          float64 `yaml:"clip_norm"`   // largest norm of a step's gradient; 0 means 1, negative is no clipping
	Accumulate        int     `yaml:"accumulate"`  // batches to a step; 0 means 1
	Dropout           float64 `yaml:"dropout"`     // of embeddings and of each branch, 0 to below 1
	Seed              uint64  `yaml:"-"`           // of dropout, the recipe's; 0 is a seed like any other
	ValidEvery        int     `yaml:"valid_every"` // steps between validations; 0 means once an epoch
	Keep              string  `yaml:"keep"`        // which weights the run ends with: last, or best on the validation data; empty means last
	// CheckpointEvery is the steps between checkpoints; 0 means 100.
	CheckpointEvery int `yaml:"checkpoint_every"`
	// Memory is how much the whole process may take while it trains; 0 means
	// what the machine has. To keep to it, parts of the forward pass are computed
	// again for the gradients, which changes no bit of the result.
	Memory bytesize.Size `yaml:"memory,omitempty" json:"-"`
}

// WithDefaults returns o with its zero fields filled in.
func (o Options) WithDefaults() Options {
	if o.Epochs == 0 && o.Steps == 0 {
		o.Epochs = 1
	}
	setDefault(&o.LearningRate, 2e-4)
	setDefault(&o.Beta1, 0.9)
	setDefault(&o.Beta2, 0.999)
	setDefault(&o.Epsilon, 1e-8)
	setDefault(&o.ClipNorm, 1)
	if o.LoRAPlusRatio != 0 {
		setDefault(&o.LoRAPlusEmbedding, 1e-6)
	}
	setDefault(&o.Accumulate, 1)
	setDefault(&o.Keep, "last")
	setDefault(&o.CheckpointEvery, 100)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every field that is out of range.
func (o Options) Validate() error {
	var errs []error
	within := func(name string, v, low, high float64) {
		if !(v >= low && v <= high) {
			errs = append(errs, fmt.Errorf("%s: %v: want a number from %v to %v", name, v, low, high))
		}
	}
	atLeast := func(name string, v, low int) {
		if v < low {
			errs = append(errs, fmt.Errorf("%s: %d: want %d or more", name, v, low))
		}
	}
	atLeast("epochs", o.Epochs, 0)
	atLeast("steps", o.Steps, 0)
	if o.Epochs > 0 && o.Steps > 0 {
		errs = append(errs, errors.New("epochs and steps: want one of them"))
	}
	within("learning_rate", o.LearningRate, 0, 1)
	within("loraplus_lr_ratio", o.LoRAPlusRatio, 0, 1e6)
	within("loraplus_lr_embedding", o.LoRAPlusEmbedding, 0, 1)
	if o.LoRAPlusEmbedding != 0 && o.LoRAPlusRatio == 0 {
		errs = append(errs, errors.New("loraplus_lr_embedding: it needs loraplus_lr_ratio"))
	}
	within("warmup", o.Warmup, 0, 1)
	within("min_rate", o.MinRate, 0, 1)
	within("beta1", o.Beta1, 0, math.Nextafter(1, 0))
	within("beta2", o.Beta2, 0, math.Nextafter(1, 0))
	within("epsilon", o.Epsilon, 0, 1)
	within("weight_decay", o.WeightDecay, 0, 100)
	within("clip_norm", o.ClipNorm, math.Inf(-1), math.MaxFloat64)
	within("dropout", o.Dropout, 0, math.Nextafter(1, 0))
	atLeast("accumulate", o.Accumulate, 0)
	atLeast("valid_every", o.ValidEvery, 0)
	atLeast("checkpoint_every", o.CheckpointEvery, 0)
	if o.Memory < 0 {
		errs = append(errs, fmt.Errorf("memory: %d bytes: want 0 or more", int64(o.Memory)))
	}
	if o.Keep != "" && o.Keep != "last" && o.Keep != "best" {
		errs = append(errs, fmt.Errorf("keep: %q: want last or best", o.Keep))
	}
	return errors.Join(errs...)
}
