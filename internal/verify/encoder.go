package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
)

// encoder compares a classifier, if the model is one. Its reference has
// input_ids, attention_mask and token_type_ids (B,T), labels (B), and logits (B,
// classes); gradients, of the mean loss with the adapter, are grad.<name>.
func (c *run) encoder(ctx context.Context) (bool, error) {
	is, err := isEncoder(c.o.Model)
	if !is || err != nil {
		return is, err
	}
	b, err := c.ref.texts()
	if err != nil {
		return true, fmt.Errorf("%s: %w", c.o.Reference, err)
	}
	if err := c.withClassifier(false, func(m *model.Classifier) error { return c.classify(m, b, "") }); err != nil {
		return true, err
	}
	if c.o.Adapter == "" || !c.ref.ofAdapter() && len(c.ref.names(encoderGradient)) == 0 {
		return true, nil
	}
	if err := ctx.Err(); err != nil {
		return true, err
	}
	err = c.withClassifier(true, func(m *model.Classifier) error {
		if err := c.classify(m, b, "lora_"); err != nil {
			return err
		}
		if err := c.classifierGradients(m, b); err != nil {
			return err
		}
		if !c.ref.has("merged_logits") {
			c.report.absent("merged_logits")
			return nil
		}
		m.Merge()
		return c.classLogits(m, b, "merged_logits")
	})
	return true, err
}

func isEncoder(path string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(path, "config.json"))
	if err != nil {
		return false, nil // a GGUF file, or what reading the model says more of
	}
	var config struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return false, fmt.Errorf("config.json: %w", err)
	}
	return model.IsEncoder(config.ModelType), nil
}

func (c *run) withClassifier(adapter bool, do func(m *model.Classifier) error) (err error) {
	m, err := model.LoadClassifier(cpu.New(0), c.o.Model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if adapter {
		if err := m.LoadAdapter(c.o.Adapter); err != nil {
			return err
		}
	}
	return do(m)
}

// texts is a classifier's input.
type texts struct {
	list   []model.Text
	labels []int32 // nil without
}

func (r *reference) texts() (*texts, error) {
	ids, shape, err := r.ints("input_ids")
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 {
		return nil, fmt.Errorf("tensor input_ids has shape %v: want texts of one length with padding", shape)
	}
	B, T := shape[0], shape[1]
	beside := func(name string, otherwise int32) ([]int32, error) {
		if !r.has(name) {
			return slices.Repeat([]int32{otherwise}, B*T), nil
		}
		values, other, err := r.ints(name)
		if err == nil && !slices.Equal(other, shape) {
			err = fmt.Errorf("tensor %s has shape %v, input_ids %v", name, other, shape)
		}
		return values, err
	}
	mask, err := beside("attention_mask", 1)
	if err != nil {
		return nil, err
	}
	types, err := beside("token_type_ids", 0)
	if err != nil {
		return nil, err
	}
	b := &texts{}
	for i := range B {
		row := mask[i*T : (i+1)*T]
		n := 0
		for n < T && row[n] != 0 {
			n++
		}
		if n == 0 || slices.ContainsFunc(row[n:], func(v int32) bool { return v != 0 }) {
			return nil, fmt.Errorf("tensor attention_mask: text %d is not followed by its padding", i)
		}
		b.list = append(b.list, model.Text{Tokens: ids[i*T : i*T+n], Types: types[i*T : i*T+n]})
	}
	if !r.has("labels") {
		return b, nil
	}
	labels, other, err := r.ints("labels")
	if err == nil && !slices.Equal(other, []int{B}) {
		err = fmt.Errorf("tensor labels has shape %v: want one for each of %d texts", other, B)
	}
	b.labels = labels
	return b, err
}

// classify compares logits and losses.
func (c *run) classify(m *model.Classifier, b *texts, prefix string) error {
	if err := c.classLogits(m, b, prefix+"logits"); err != nil {
		return err
	}
	for _, name := range []string{prefix + "loss_mean", prefix + "loss_sum"} {
		if !c.ref.has(name) {
			c.report.absent(name)
			continue
		}
		want, err := c.ref.number(name)
		if err != nil {
			return err
		}
		got, err := c.classLoss(m, b, false)
		if err != nil {
			return err
		}
		if name == prefix+"loss_mean" {
			got /= float64(len(b.labels))
		}
		c.report.values(name, absoluteAndRelative, logitTolerance, []float64{got}, []float64{want}, onePlus)
	}
	return nil
}

func (c *run) classLogits(m *model.Classifier, b *texts, name string) error {
	if !c.ref.has(name) {
		c.report.absent(name)
		return nil
	}
	want, shape, err := c.ref.floats(name)
	if err != nil {
		return err
	}
	rows, err := m.Logits(b.list)
	if err != nil {
		return err
	}
	if !slices.Equal(shape, []int{len(rows), len(rows[0])}) {
		return fmt.Errorf("tensor %s has shape %v, the model makes (%d, %d)", name, shape, len(rows), len(rows[0]))
	}
	var got []float64
	for _, row := range rows {
		for _, v := range row {
			got = append(got, float64(v))
		}
	}
	c.report.values(name, absoluteAndRelative, logitTolerance, got, want, onePlus)
	return nil
}

// classLoss is the summed loss; with gradients, they are added to the Params.
func (c *run) classLoss(m *model.Classifier, b *texts, gradients bool) (float64, error) {
	if b.labels == nil {
		return 0, fmt.Errorf("%s: tensor labels is missing, and there are losses to compare", c.o.Reference)
	}
	for i, l := range b.labels {
		if l < 0 || int(l) >= len(m.Config.Labels) {
			return 0, fmt.Errorf("%s: tensor labels: value %d is %d, the model has %d classes", c.o.Reference, i, l, len(m.Config.Labels))
		}
	}
	var in autodiff.Inputs
	for _, text := range b.list {
		first := int32(len(in.Tokens))
		in.Rows = append(in.Rows, first)
		in.Tokens, in.Types = append(in.Tokens, text.Tokens...), append(in.Types, text.Types...)
		for i := range text.Tokens {
			in.Positions = append(in.Positions, int32(i))
			in.From, in.To = append(in.From, first), append(in.To, first+int32(len(text.Tokens)))
		}
	}
	in.Loss = crossEntropy(b.labels)
	g, err := m.Graph(len(in.Tokens), gradients, 0)
	if err != nil {
		return 0, err
	}
	return g.Run(in)
}

const encoderGradient = "grad."

// classifierGradients compares those of every trained array.
func (c *run) classifierGradients(m *model.Classifier, b *texts) error {
	names := c.ref.names(encoderGradient)
	if len(names) == 0 {
		c.report.absent(encoderGradient + "*")
		return nil
	}
	for _, p := range m.Params() {
		m.Device().Clear(compute.Of(p.Grad))
	}
	if _, err := c.classLoss(m, b, true); err != nil {
		return err
	}
	return c.compareGradients(m.Device(), m.Params(), len(b.labels), names,
		func(p *autodiff.Param) string { return encoderGradient + p.Name })
}
