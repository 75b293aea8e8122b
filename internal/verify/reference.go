package verify

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/safetensors"
)

// reference reads tensors and notes which were used.
type reference struct {
	f    *safetensors.File
	used map[string]bool
}

func (r *reference) has(name string) bool { _, ok := r.f.Info(name); return ok }

// floats are the values of a tensor, and its shape.
func (r *reference) floats(name string) ([]float64, []int, error) {
	info, data, err := r.tensor(name)
	if err != nil {
		return nil, nil, err
	}
	size := info.Dtype.Size()
	if info.Dtype != safetensors.F32 && info.Dtype != safetensors.F64 {
		return nil, nil, fmt.Errorf("tensor %s has type %s: want F32 or F64", name, info.Dtype)
	}
	out := make([]float64, len(data)/size)
	for i := range out {
		if size == 4 {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		} else {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		}
	}
	return out, info.Shape, nil
}

// ints are the values of a tensor of token ids, and its shape.
func (r *reference) ints(name string) ([]int32, []int, error) {
	info, data, err := r.tensor(name)
	if err != nil {
		return nil, nil, err
	}
	size := info.Dtype.Size()
	if info.Dtype != safetensors.I32 && info.Dtype != safetensors.I64 {
		return nil, nil, fmt.Errorf("tensor %s has type %s: want I32 or I64", name, info.Dtype)
	}
	out := make([]int32, len(data)/size)
	for i := range out {
		v := int64(int32(binary.LittleEndian.Uint32(data[size*i:])))
		if size == 8 {
			v = int64(binary.LittleEndian.Uint64(data[8*i:]))
		}
		if v < math.MinInt32 || v > math.MaxInt32 {
			return nil, nil, fmt.Errorf("tensor %s: value %d is %d, which is no token id", name, i, v)
		}
		out[i] = int32(v)
	}
	return out, info.Shape, nil
}

func (r *reference) tensor(name string) (safetensors.Info, []byte, error) {
	info, ok := r.f.Info(name)
	if !ok {
		return info, nil, fmt.Errorf("tensor %s is missing", name)
	}
	r.used[name] = true
	data, err := r.f.Bytes(name)
	if err != nil {
		return info, nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	return info, data, nil
}

// number is a tensor of one value.
func (r *reference) number(name string) (float64, error) {
	values, shape, err := r.floats(name)
	if err != nil {
		return 0, err
	}
	if len(values) != 1 {
		return 0, fmt.Errorf("tensor %s has shape %v: want one value", name, shape)
	}
	return values[0], nil
}

// count is a tensor of one whole number.
func (r *reference) count(name string) (int32, error) {
	values, shape, err := r.ints(name)
	if err != nil {
		return 0, err
	}
	if len(values) != 1 {
		return 0, fmt.Errorf("tensor %s has shape %v: want one value", name, shape)
	}
	return values[0], nil
}

// batch is the reference's input.
type batch struct {
	B, T    int
	ids     []int32 // (B,T)
	targets []int32 // (B,T) the next position's label, -1 for none; nil without labels
	learned int     // how many targets there are
}

func (b *batch) sequence(i int) []int32 { return b.ids[i*b.T : (i+1)*b.T] }

func (r *reference) batch() (*batch, error) {
	ids, shape, err := r.ints("input_ids")
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 {
		return nil, fmt.Errorf("tensor input_ids has shape %v: want sequences of one length", shape)
	}
	b := &batch{B: shape[0], T: shape[1], ids: ids}
	if err := r.checkMask(b); err != nil {
		return nil, err
	}
	if !r.has("labels") {
		return b, nil
	}
	labels, other, err := r.ints("labels")
	if err != nil {
		return nil, err
	}
	if !slices.Equal(shape, other) {
		return nil, fmt.Errorf("tensor labels has shape %v, input_ids %v: the labels are of next tokens", other, shape)
	}
	b.targets = make([]int32, len(labels))
	for i := range labels {
		b.targets[i] = -1
		if (i+1)%b.T != 0 && labels[i+1] >= 0 {
			b.targets[i] = labels[i+1]
			b.learned++
		}
	}
	if b.learned == 0 {
		return nil, fmt.Errorf("tensor labels: no token is learned")
	}
	return b, nil
}

// checkMask refuses padding, whose positions software treats in several ways.
func (r *reference) checkMask(b *batch) error {
	if !r.has("attention_mask") {
		return nil
	}
	mask, shape, err := r.ints("attention_mask")
	if err != nil {
		return err
	}
	if len(mask) != len(b.ids) {
		return fmt.Errorf("tensor attention_mask has shape %v, input_ids (%d, %d)", shape, b.B, b.T)
	}
	if slices.Contains(mask, 0) {
		return fmt.Errorf("tensor attention_mask: it has padding, which is not supported for models that predict the next token")
	}
	return nil
}
