package model

// Parameters counts the values, without low-rank updates.
func (c *Classifier) Parameters() int {
	n := 0
	for _, t := range c.tensors {
		n += t.size()
	}
	return n
}

// Bytes is the memory that the weights take: matrices as they are stored,
// whether read from a mapped file or not, and vectors and low-rank updates as float32.
func (c *Classifier) Bytes() int {
	n := 0
	for _, t := range c.tensors {
		if t.weight != nil {
			n += (*t.weight).Format.MatrixBytes((*t.weight).Out, (*t.weight).In)
		} else {
			n += 4 * t.size()
		}
	}
	for _, mod := range c.linears {
		if u := mod.part.LoRA; u != nil {
			n += u.Bytes()
		}
	}
	return n
}

func (t *modelTensor) size() int {
	if t.weight != nil {
		return (*t.weight).Out * (*t.weight).In
	}
	return (*t.values).Shape().TotalSize()
}

// parameters estimates the number of values; a float64, as the sizes of a
// configuration can overflow an int.
func (c *ClassifierConfig) parameters() float64 {
	d, layers := float64(c.HiddenSize), float64(c.NumHiddenLayers)
	if c.ModelType == "albert" {
		layers = float64(c.NumHiddenGroups) * float64(c.InnerGroupNum)
	}
	tables := float64(c.VocabSize) + float64(c.MaxPositionEmbeddings) + float64(c.TypeVocabSize) + d
	return layers*d*(4*d+2*float64(c.IntermediateSize)) + tables*float64(c.EmbeddingSize) + d*(d+float64(len(c.Labels)))
}

// Memory estimates how many bytes a classifier takes that evaluates: its
// weights as float32, and the arrays of Logits.
func (c *ClassifierConfig) Memory() float64 {
	return 4 * (c.parameters() + classifyRows*float64(8*c.HiddenSize+2*c.IntermediateSize+2*c.EmbeddingSize))
}
