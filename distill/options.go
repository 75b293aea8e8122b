package distill

import (
	"errors"
	"fmt"
)

// What Options.Divergence may say.
const (
	ForwardKL = "forward_kl" // KL(teacher‖student): cover all that the teacher says
	ReverseKL = "reverse_kl" // KL(student‖teacher): say nothing that the teacher would not
	JSD       = "jsd"        // generalized Jensen-Shannon divergence, between the two
	ULD       = "uld"        // universal logit distillation: distance of the sorted probabilities, whatever their tokens
)

// Options say how a student follows its teacher's probabilities. The zero value
// is the forward KL at temperature 1, without the answers' own cross-entropy.
type Options struct {
	// Alpha is the share of the divergence in the loss, 0 to 1; the rest is the
	// cross-entropy of the answer's tokens. Nil means 1; 0 is no divergence.
	Alpha *float64 `yaml:"alpha"`
	// Temperature divides the log-probabilities of both before they are compared;
	// above 1, unlikely tokens count more. 0 means 1. The loss is not multiplied
	// by its square, as some papers do: the gradient shrinks with it.
	Temperature float64 `yaml:"temperature"`
	Divergence  string  `yaml:"divergence"` // forward_kl, reverse_kl, jsd or uld; "" means forward_kl
	// Beta is the teacher's share in the mixture that jsd compares both with:
	// nil means 0.5; at 0 it is the forward KL, at 1 the reverse. For jsd alone.
	Beta *float64 `yaml:"beta"`
	// MinCoverage is the least share of the answers' tokens, 0 to 1, for which the
	// teacher's probabilities must be known: with fewer, nearly all that is learned
	// would be the answers alone. Nil means 0.5.
	MinCoverage *float64 `yaml:"min_coverage,omitempty"`
}

// WithDefaults fills in what is not set. Beta stays nil where it has no meaning.
func (o Options) WithDefaults() Options {
	if o.Alpha == nil {
		o.Alpha = new(1.0)
	}
	if o.Temperature == 0 {
		o.Temperature = 1
	}
	if o.Divergence == "" {
		o.Divergence = ForwardKL
	}
	if o.Divergence == JSD && o.Beta == nil {
		o.Beta = new(0.5)
	}
	return o
}

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.Alpha != nil && !(*o.Alpha >= 0 && *o.Alpha <= 1) {
		fault("alpha: %v: want a number from 0 to 1", *o.Alpha)
	}
	if o.Temperature != 0 && !(o.Temperature >= 0.01 && o.Temperature <= 100) {
		fault("temperature: %v: want a number from 0.01 to 100", o.Temperature)
	}
	if o.MinCoverage != nil && !(*o.MinCoverage >= 0 && *o.MinCoverage <= 1) {
		fault("min_coverage: %v: want a number from 0 to 1", *o.MinCoverage)
	}
	switch o.Divergence {
	case "", ForwardKL, ReverseKL, ULD:
		if o.Beta != nil {
			fault("beta: only divergence %s has it", JSD)
		}
	case JSD:
		if o.Beta != nil && !(*o.Beta >= 0 && *o.Beta <= 1) {
			fault("beta: %v: want a number from 0 to 1", *o.Beta)
		}
	default:
		fault("divergence: %q: want %s, %s, %s or %s", o.Divergence, ForwardKL, ReverseKL, JSD, ULD)
	}
	return errors.Join(faults...)
}

// ForClasses reports options that have no meaning for the classes of a classifier,
// as Validate does.
func (o Options) ForClasses() error {
	var faults []error
	if o.Divergence == ULD {
		faults = append(faults, fmt.Errorf("divergence: %s compares tokens of two vocabularies: teacher and student have the same classes", ULD))
	}
	if o.MinCoverage != nil {
		faults = append(faults, errors.New("min_coverage: it is of the tokens of answers: there are none"))
	}
	return errors.Join(faults...)
}

// compared is the divergence of the options with defaults.
func (o Options) compared() divergence {
	d := divergence{temperature: o.Temperature}
	switch o.Divergence {
	case ForwardKL:
	case ReverseKL:
		d.beta = 1
	case ULD:
		d.sorted = true
	default:
		d.beta = *o.Beta
	}
	return d
}

// minCoverage is MinCoverage or its default.
func (o Options) minCoverage() float64 {
	if o.MinCoverage == nil {
		return 0.5
	}
	return *o.MinCoverage
}
