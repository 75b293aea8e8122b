package bench

import (
	"errors"
	"strings"

	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/spelling"
)

// mixture is the name of llama.cpp's usual mixture of 4 and 6 bits.
const mixture = "q4_k_m"

// Weights returns the names that a model's weights may have, in lower case.
func Weights() []string { return append(Formats(), mixture) }

// layout says in which format each matrix of a model is stored.
type layout struct {
	linear string // of linear layers, a format's name
	table  string // of the embedding, which is the head too
	mixed  bool   // some linear layers are Q6_K
	layers int
}

func newLayout(weights string, layers int) (layout, error) {
	if strings.EqualFold(weights, mixture) {
		return layout{linear: "Q4_K", table: "Q6_K", mixed: true, layers: layers}, nil
	}
	f, known := formatOf(weights)
	if !known {
		return layout{}, errors.New(spelling.Unknown("weights", weights, Weights()))
	}
	return layout{linear: f.name, table: f.name, layers: layers}, nil
}

// trained is how a model is stored whose frozen weights are trained on: beside
// linear layers of 4 bits the embedding and the head stay BF16, as QLoRA leaves them.
func trained(weights string, c *model.Config) (layout, error) {
	l, err := newLayout(weights, c.NumHiddenLayers)
	if err != nil {
		return layout{}, err
	}
	switch l.linear {
	case "Q4_0", "Q4_K", "NF4":
		l.table = "BF16"
	}
	return l, nil
}

// inferred is how a model is stored that generates. The head of Q4_0 is Q8_0,
// as retort's quantize stage makes it, and that of NF4 BF16, as bitsandbytes
// leaves it. pure gives every matrix the one format.
func inferred(weights string, c *model.Config, pure bool) (layout, error) {
	l, err := newLayout(weights, c.NumHiddenLayers)
	switch {
	case err != nil:
		return layout{}, err
	case pure:
		l.mixed, l.table = false, l.linear
	case l.linear == "Q4_0":
		l.table = "Q8_0"
	case l.linear == "NF4":
		l.table = "BF16"
	}
	return l, nil
}

// format is how m is stored.
func (l layout) format(m matrix) format {
	name := l.linear
	switch {
	case m.layer < 0:
		name = l.table
	case l.mixed && moreBits(m, l.layers):
		name = "Q6_K"
	}
	return fitting(name, m.in)
}

// moreBits tells which layers llama.cpp's mixture stores in 6 bits: the values
// and the MLP's way back, in the first and the last eighth of the layers and
// in every third between them.
func moreBits(m matrix, layers int) bool {
	if m.name != "v_proj" && m.name != "down_proj" {
		return false
	}
	eighth := layers / 8
	return m.layer < eighth || m.layer >= 7*layers/8 || (m.layer-eighth)%3 == 2
}

// fitting is the format of that name, or what llama.cpp takes for it where
// rows of in values are no whole blocks.
func fitting(name string, in int) format {
	f, _ := formatOf(name)
	switch {
	case in%f.block == 0:
		return f
	case name == "Q4_K":
		return fitting("Q5_0", in)
	case name == "Q6_K":
		return fitting("Q8_0", in)
	}
	return fitting("F16", in)
}
