package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
)

// RopeScaling says how rotary angles are changed for long sequences: the
// rope_scaling of config.json, or its rope_parameters. Zeros are fields that it
// does not have.
type RopeScaling struct {
	Type                      string // linear, dynamic, llama3, yarn or longrope; empty is none
	Factor                    float64
	OriginalMax               int     // original_max_position_embeddings
	LowFreq, HighFreq         float64 // of llama3
	AttentionFactor           float64 // multiplies cosines and sines (yarn, longrope)
	Mscale, MscaleAll         float64 // of yarn
	BetaFast, BetaSlow        float64 // of yarn
	Fractional                bool    // of yarn: its boundaries are not rounded to whole pairs (truncate false)
	ShortFactors, LongFactors []float64
}

// ropeFile is rope_scaling, or rope_parameters of newer files.
type ropeFile struct {
	Theta           *float64  `json:"rope_theta,omitempty"`
	Type            string    `json:"rope_type,omitempty"`
	OldType         string    `json:"type,omitempty"`
	Partial         *float64  `json:"partial_rotary_factor,omitempty"`
	Factor          *float64  `json:"factor,omitempty"`
	OriginalMax     *int      `json:"original_max_position_embeddings,omitempty"`
	LowFreq         *float64  `json:"low_freq_factor,omitempty"`
	HighFreq        *float64  `json:"high_freq_factor,omitempty"`
	AttentionFactor *float64  `json:"attention_factor,omitempty"`
	Mscale          *float64  `json:"mscale,omitempty"`
	MscaleAll       *float64  `json:"mscale_all_dim,omitempty"`
	BetaFast        *float64  `json:"beta_fast,omitempty"`
	BetaSlow        *float64  `json:"beta_slow,omitempty"`
	Truncate        *bool     `json:"truncate,omitempty"`
	Short           []float64 `json:"short_factor,omitempty"`
	Long            []float64 `json:"long_factor,omitempty"`
	Finetuned       any       `json:"finetuned,omitempty"` // of early yarn files, without effect
}

// parseRope refuses fields that it does not know.
func parseRope(raw json.RawMessage) (ropeFile, error) {
	var p ropeFile
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&p)
	return p, err
}

func (p *ropeFile) kind() string { return cmp.Or(p.Type, p.OldType) }

// scaling checks the fields of the file's kind, and refuses those of others.
func (p *ropeFile) scaling() (RopeScaling, error) {
	kind, err := p.one()
	if err != nil || kind == "default" { // whose other fields are without effect
		return RopeScaling{}, err
	}
	s := RopeScaling{Type: kind, Factor: or(p.Factor, 0), OriginalMax: or(p.OriginalMax, 0), LowFreq: or(p.LowFreq, 0),
		HighFreq: or(p.HighFreq, 0), AttentionFactor: or(p.AttentionFactor, 0), Mscale: or(p.Mscale, 0), MscaleAll: or(p.MscaleAll, 0),
		BetaFast: or(p.BetaFast, 0), BetaSlow: or(p.BetaSlow, 0), Fractional: !or(p.Truncate, true), ShortFactors: p.Short, LongFactors: p.Long}
	switch kind {
	case "": // newer files keep the original length beside a plain rope
		if s.OriginalMax = 0; p.Factor == nil {
			break
		}
		return s, fmt.Errorf("a factor %v without rope_type", *p.Factor)
	case "linear": // which leaves the original length to the model, as dynamic does
		s.OriginalMax = 0
	}
	return s, s.validate()
}

// one is the kind by its present name, where a file has one.
func (p *ropeFile) one() (string, error) {
	newest := func(kind string) string {
		// Phi-3 had both of these names for longrope.
		if kind == "su" || kind == "yarn" && p.Factor == nil && p.Short != nil {
			return "longrope"
		}
		return kind
	}
	kind := newest(p.kind())
	if old := newest(p.OldType); old != "" && old != kind {
		return "", fmt.Errorf("rope_type %q beside type %q", kind, old)
	}
	return kind, nil
}

// validate reports a field that is missing, out of range, or of another type.
func (s *RopeScaling) validate() error {
	type needs struct {
		name  string
		value float64
		want  bool
	}
	yarn, llama3, longrope := s.Type == "yarn", s.Type == "llama3", s.Type == "longrope"
	switch s.Type {
	case "", "linear", "dynamic", "yarn", "llama3", "longrope":
	default:
		return fmt.Errorf("rope_type %q is not supported", s.Type)
	}
	for _, n := range []needs{
		{"factor", s.Factor, s.Type != "" && !longrope},
		{"low_freq_factor", s.LowFreq, llama3}, {"high_freq_factor", s.HighFreq, llama3},
		{"original_max_position_embeddings", float64(s.OriginalMax), llama3},
	} {
		if n.want && n.value == 0 {
			return fmt.Errorf("rope_type %q without %s", s.Type, n.name)
		}
	}
	for _, n := range []needs{
		{"factor", s.Factor, s.Type != ""}, {"low_freq_factor", s.LowFreq, llama3}, {"high_freq_factor", s.HighFreq, llama3},
		{"attention_factor", s.AttentionFactor, yarn || longrope}, {"mscale", s.Mscale, yarn}, {"mscale_all_dim", s.MscaleAll, yarn},
		{"beta_fast", s.BetaFast, yarn}, {"beta_slow", s.BetaSlow, yarn},
		{"original_max_position_embeddings", float64(s.OriginalMax), s.Type != "" && s.Type != "linear"},
	} {
		if !(n.value >= 0 && n.value <= math.MaxFloat32) || n.value > 0 && !n.want {
			return fmt.Errorf("%s %v of rope_type %q is not supported", n.name, n.value, s.Type)
		}
	}
	if s.Fractional && !yarn {
		return fmt.Errorf("truncate false of rope_type %q is not supported", s.Type)
	}
	if llama3 && !(s.HighFreq > s.LowFreq) {
		return fmt.Errorf("high_freq_factor %v is not above low_freq_factor %v", s.HighFreq, s.LowFreq)
	}
	for _, list := range [][]float64{s.ShortFactors, s.LongFactors} {
		if longrope != (len(list) > 0) {
			return fmt.Errorf("rope_type %q with %d values in a list of factors", s.Type, len(list))
		}
		for _, v := range list {
			if !(v > 0 && v <= math.MaxFloat32) {
				return fmt.Errorf("a factor of %v in a list: want positive numbers", v)
			}
		}
	}
	return nil
}

// file is the rope_scaling that says s, nil without scaling.
func (s *RopeScaling) file() *ropeFile {
	if s.Type == "" {
		return nil
	}
	number := func(v float64) *float64 {
		if v == 0 {
			return nil
		}
		return &v
	}
	f := &ropeFile{Type: s.Type, Factor: number(s.Factor), LowFreq: number(s.LowFreq), HighFreq: number(s.HighFreq),
		AttentionFactor: number(s.AttentionFactor), Mscale: number(s.Mscale), MscaleAll: number(s.MscaleAll),
		BetaFast: number(s.BetaFast), BetaSlow: number(s.BetaSlow), Short: s.ShortFactors, Long: s.LongFactors}
	if s.Fractional {
		f.Truncate = new(bool)
	}
	if s.OriginalMax > 0 && s.Type != "longrope" { // there the model has it
		f.OriginalMax = &s.OriginalMax
	}
	return f
}

// rotaryDim is how many columns of a head are turned.
func (c *Config) rotaryDim() int {
	if c.PartialRotaryFactor == 0 {
		return c.HeadDim
	}
	return int(float64(c.HeadDim) * c.PartialRotaryFactor)
}

// longRotation is the rotation of sequences of so many positions, more than
// Config.longFrom.
type longRotation func(positions int) *compute.Rotation

// rotation is that of all layers that do not have a rope of their own, and, if
// longer sequences than longFrom have others, those.
func (c *Config) rotation() (usual *compute.Rotation, long longRotation) {
	s := &c.Rope
	f := frequencies(c.RopeTheta, c.rotaryDim())
	switch s.Type {
	case "linear":
		for j := range f {
			f[j] /= s.Factor
		}
	case "llama3":
		s.llama3(f)
	case "yarn":
		r := compute.NewRotation(nil)
		r.Frequencies, r.Scale = c.yarn(f)
		return r, nil
	case "longrope":
		return c.longrope(f)
	case "dynamic":
		return compute.NewRotation(f), c.dynamic()
	}
	return compute.NewRotation(f), nil
}

// frequencies are the rotary angles per position, theta^(−2j/dim).
func frequencies(theta float64, dim int) []float64 {
	f := make([]float64, dim/2)
	for j := range f {
		f[j] = math.Pow(theta, -2*float64(j)/float64(dim))
	}
	return f
}

// llama3 divides low frequencies by the factor, keeps high ones, and goes
// from one to the other between (Llama 3.1's code).
func (s *RopeScaling) llama3(f []float64) {
	for j, v := range f {
		turns := float64(s.OriginalMax) * v / (2 * math.Pi) // in the original length
		switch {
		case turns < s.LowFreq:
			f[j] = v / s.Factor
		case turns <= s.HighFreq:
			smooth := (turns - s.LowFreq) / (s.HighFreq - s.LowFreq)
			f[j] = (1-smooth)*v/s.Factor + smooth*v
		}
	}
}

// yarn is Peng et al. 2023 as transformers computes it: the ratio of the
// model's lengths replaces the factor where the file has the original one.
func (c *Config) yarn(f []float64) (scaled []float64, attention float64) {
	s := &c.Rope
	factor, original := c.yarnLengths()
	dim := float64(2 * len(f))
	boundary := func(turns float64) float64 { // the pair that makes so many turns in the original length
		return dim * math.Log(float64(original)/(turns*2*math.Pi)) / (2 * math.Log(c.RopeTheta))
	}
	low, high := boundary(cmp.Or(s.BetaFast, 32)), boundary(cmp.Or(s.BetaSlow, 1))
	if !s.Fractional {
		low, high = math.Floor(low), math.Ceil(high)
	}
	if low, high = max(low, 0), min(high, dim-1); low == high {
		high += 0.001
	}
	for j, v := range f {
		ramp := min(max((float64(j)-low)/(high-low), 0), 1)
		f[j] = v/factor*ramp + v*(1-ramp)
	}
	return f, s.yarnAttention(factor)
}

// yarnLengths is how much longer texts may be than in the original length, and that.
func (c *Config) yarnLengths() (factor float64, original int) {
	if c.Rope.OriginalMax > 0 {
		return float64(c.MaxPositionEmbeddings) / float64(c.Rope.OriginalMax), c.Rope.OriginalMax
	}
	return c.Rope.Factor, c.MaxPositionEmbeddings
}

// yarnAttention is what cosines and sines are multiplied by.
func (s *RopeScaling) yarnAttention(factor float64) float64 {
	of := func(mscale float64) float64 {
		if factor <= 1 {
			return 1
		}
		return 0.1*mscale*math.Log(factor) + 1
	}
	switch {
	case s.AttentionFactor > 0:
		return s.AttentionFactor
	case s.Mscale > 0 && s.MscaleAll > 0:
		return of(s.Mscale) / of(s.MscaleAll)
	}
	return of(1)
}

// longrope divides each frequency by a factor of its own, one for sequences up
// to the original length and another for longer ones (Ding et al. 2024).
func (c *Config) longrope(f []float64) (short *compute.Rotation, long longRotation) {
	s := &c.Rope
	original, factor := c.longropeLengths()
	attention := s.AttentionFactor
	if attention == 0 {
		attention = 1
		if factor > 1 {
			attention = math.Sqrt(1 + math.Log(factor)/math.Log(float64(original)))
		}
	}
	divided := func(by []float64) *compute.Rotation {
		list := make([]float64, len(f))
		for j := range f {
			list[j] = f[j] / by[j]
		}
		r := compute.NewRotation(list)
		r.Scale = attention
		return r
	}
	short = divided(s.ShortFactors)
	if slices.Equal(s.ShortFactors, s.LongFactors) {
		return short, nil
	}
	one := divided(s.LongFactors)
	return short, func(int) *compute.Rotation { return one }
}

// longFrom is the length beyond which sequences have other rotations.
func (c *Config) longFrom() int {
	if c.Rope.Type == "longrope" {
		original, _ := c.longropeLengths()
		return original
	}
	return c.MaxPositionEmbeddings
}

// longropeLengths are the original length and how many times that the model has.
func (c *Config) longropeLengths() (original int, factor float64) {
	if c.Rope.OriginalMax > 0 {
		return c.Rope.OriginalMax, float64(c.MaxPositionEmbeddings) / float64(c.Rope.OriginalMax)
	}
	return c.MaxPositionEmbeddings, c.Rope.Factor
}
