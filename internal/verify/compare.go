package verify

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/train"
)

// logitRows is how many rows of logits are computed at once: a vocabulary is wide.
const logitRows = 64

// logits compares the decoder's logits of the whole batch with a tensor.
func (c *run) logits(m *model.Model, b *batch, name string) error {
	if !c.ref.has(name) {
		c.report.absent(name)
		return nil
	}
	want, shape, err := c.ref.floats(name)
	if err != nil {
		return err
	}
	if !slices.Equal(shape, []int{b.B, b.T, m.Config.VocabSize}) {
		return fmt.Errorf("tensor %s has shape %v, the model makes (%d, %d, %d)", name, shape, b.B, b.T, m.Config.VocabSize)
	}
	d := model.NewDecoder(m)
	runs := make([]model.Run, b.B)
	for i := range runs {
		runs[i] = model.Run{Cache: d.NewCache(b.T), Tokens: b.sequence(i)}
	}
	h, err := d.Step(runs)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	got := make([]float64, 0, len(want))
	for from := 0; from < len(b.ids); from += logitRows {
		rows := make([]int32, min(logitRows, len(b.ids)-from))
		for i := range rows {
			rows[i] = int32(from + i)
		}
		for _, v := range m.Device().Host(d.Logits(h, rows)) {
			got = append(got, float64(v))
		}
	}
	c.report.values(name, absoluteAndRelative, logitTolerance, got, want, onePlus)
	return nil
}

// losses compares the graph's loss with the tensors of a prefix.
func (c *run) losses(m *model.Model, b *batch, prefix string) error {
	names := []string{prefix + "loss_mean", prefix + "loss_sum"}
	if prefix == "" {
		names = append(names, "loss_tokens")
	}
	if !slices.ContainsFunc(names, c.ref.has) {
		c.report.absent(names...)
		return nil
	}
	sum, err := c.loss(m, b, false)
	if err != nil {
		return err
	}
	got := map[string]float64{names[0]: sum / float64(b.learned), names[1]: sum}
	for _, name := range names {
		if !c.ref.has(name) {
			c.report.absent(name)
			continue
		}
		if name == "loss_tokens" {
			n, err := c.ref.count(name)
			if err != nil {
				return err
			}
			c.report.tokens(name, []int32{int32(b.learned)}, []int32{n})
			continue
		}
		want, err := c.ref.number(name)
		if err != nil {
			return err
		}
		c.report.values(name, absoluteAndRelative, logitTolerance, []float64{got[name]}, []float64{want}, onePlus)
	}
	return nil
}

// loss is the summed loss of the batch; with gradients, those of the sum are
// added to the model's Params.
func (c *run) loss(m *model.Model, b *batch, gradients bool) (float64, error) {
	if b.targets == nil {
		return 0, fmt.Errorf("%s: tensor labels is missing, and there are losses to compare", c.o.Reference)
	}
	in := autodiff.Inputs{Tokens: b.ids}
	var targets []int32
	for i, t := range b.targets {
		if int(t) >= m.Config.VocabSize {
			return 0, fmt.Errorf("%s: tensor labels: %d is outside the vocabulary of %d", c.o.Reference, t, m.Config.VocabSize)
		}
		in.Positions = append(in.Positions, int32(i%b.T))
		in.From = append(in.From, int32(i/b.T*b.T))
		if t >= 0 {
			in.Rows, targets = append(in.Rows, int32(i)), append(targets, t)
		}
	}
	in.Loss = crossEntropy(targets)
	g, err := m.Graph(len(b.ids), gradients, 0)
	if err != nil {
		return 0, err
	}
	return g.Run(in)
}

func crossEntropy(targets []int32) autodiff.RowLoss {
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		weights, losses := slices.Repeat([]float32{1}, to-from), make([]float64, to-from)
		dev.CrossEntropy(logits, targets[from:to], weights, losses)
		sum := 0.0
		for _, l := range losses {
			sum += l
		}
		return sum, nil
	}
}

var greedyPattern = regexp.MustCompile(`^greedy_prompt([0-9]{1,6})_new([0-9]{1,6})$`)

// greedy compares the likeliest continuations.
func (c *run) greedy(ctx context.Context, m *model.Model, b *batch) error {
	found := false
	for _, name := range c.ref.names("greedy_") {
		match := greedyPattern.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		found = true
		prompt, _ := strconv.Atoi(match[1])
		count, _ := strconv.Atoi(match[2])
		want, shape, err := c.ref.ints(name)
		if err != nil {
			return err
		}
		if len(shape) != 2 || shape[0] < 1 || shape[0] > b.B || shape[1] < 1 || shape[1] > count || prompt < 1 || prompt > b.T {
			return fmt.Errorf("tensor %s has shape %v: want up to %d tokens after %d of up to %d sequences of %d", name, shape, count, prompt, b.B, b.T)
		}
		for i := range shape[0] {
			row := want[i*shape[1] : (i+1)*shape[1]]
			if err := c.continuation(ctx, m, name, b.sequence(i)[:prompt], row, count); err != nil {
				return err
			}
		}
	}
	if !found {
		c.report.absent("greedy_prompt<P>_new<N>")
	}
	return nil
}

// continuation compares one. Software that stops at an end token fills up what
// follows; what goes on after it is compared as well.
func (c *run) continuation(ctx context.Context, m *model.Model, name string, prompt, want []int32, count int) error {
	o := model.GenerateOptions{MaxTokens: min(count, len(want)+1)} // a missing token shows by one more
	end := slices.IndexFunc(want, func(id int32) bool { return slices.Contains(m.Config.EOS, id) })
	stopped := end >= 0 && !slices.ContainsFunc(want[end+1:], func(id int32) bool {
		return id != m.Config.PAD && !slices.Contains(m.Config.EOS, id)
	})
	if stopped {
		want, o.Stop = want[:end+1], m.Config.EOS
	}
	return model.NewDecoder(m).Generate(ctx, [][]int32{prompt}, o, func(_ int, a model.Answer) error {
		c.report.tokens(name, a.Tokens, want)
		return nil
	})
}

const gradientPrefix = "lora_grad."

// gradients compares the gradient of the mean loss in every trained array.
func (c *run) gradients(m *model.Model, b *batch) error {
	names := c.ref.names(gradientPrefix)
	if len(names) == 0 {
		c.report.absent(gradientPrefix + "*")
		return nil
	}
	for _, p := range m.Params() {
		m.Device().Clear(compute.Of(p.Grad))
	}
	if _, err := c.loss(m, b, true); err != nil {
		return err
	}
	return c.compareGradients(m.Device(), m.Params(), b.learned, names,
		func(p *autodiff.Param) string { return gradientPrefix + p.Name })
}

// compareGradients compares the gradients of the summed loss of n targets with
// those of the mean, the tensors names.
func (c *run) compareGradients(dev compute.Device, params []*autodiff.Param, n int, names []string, nameOf func(*autodiff.Param) string) error {
	for _, p := range params {
		name := nameOf(p)
		i := slices.Index(names, name)
		if i < 0 {
			c.report.absent(name)
			continue
		}
		names = slices.Delete(names, i, i+1)
		want, shape, err := c.ref.floats(name)
		if err != nil {
			return err
		}
		if !slices.Equal(shape, []int(p.Grad.Shape())) {
			return fmt.Errorf("tensor %s has shape %v, the adapter %v", name, shape, p.Grad.Shape())
		}
		got := make([]float64, 0, len(want))
		for _, v := range dev.Host(compute.Of(p.Grad)) {
			got = append(got, float64(v)/float64(n))
		}
		c.report.norm(name, got, want)
	}
	for _, name := range names {
		c.ref.used[name] = true
		c.report.missing(name, "the engine trains no such parameter")
	}
	return nil
}

var trainingPattern = regexp.MustCompile(`^lora_adamw[0-9]+_losses$`)

// training compares the losses before each of so many steps, by the loop that
// trains every model here.
func (c *run) training(ctx context.Context, m *model.Model, b *batch) error {
	names := slices.DeleteFunc(c.ref.names("lora_adamw"), func(name string) bool { return !trainingPattern.MatchString(name) })
	if len(names) != 1 {
		if len(names) == 0 {
			c.report.absent("lora_adamw<N>_losses")
			return nil
		}
		return fmt.Errorf("%s has %v: want one of them", c.o.Reference, names)
	}
	want, shape, err := c.ref.floats(names[0])
	if err != nil {
		return err
	}
	if len(shape) != 1 || len(want) == 0 || len(want) > 10_000 {
		return fmt.Errorf("tensor %s has shape %v: want a loss for each step", names[0], shape)
	}
	if b.targets == nil {
		return fmt.Errorf("%s: tensor labels is missing, and there are losses to compare", c.o.Reference)
	}
	var got []float64
	r := train.Run{Student: m, DecayAll: true, Data: train.Data{Source: fixed{b.packed()}, Objective: train.CrossEntropy{}},
		Options: train.Options{Steps: len(want), LearningRate: 1e-3, WeightDecay: 0.01, MinRate: 1},
		Report:  func(p train.Progress) { got = append(got, p.Loss) }}
	if _, err := r.Do(ctx); err != nil {
		return err
	}
	for len(got) < len(want) {
		got = append(got, math.NaN())
	}
	c.report.values(names[0], relative, trainingTolerance, got, want, math.Abs)
	return nil
}

// fixed gives the same batch every time.
type fixed struct{ batch datasets.Batch }

func (f fixed) Len(int) int                         { return 1 }
func (f fixed) At(int, int) (datasets.Batch, error) { return f.batch, nil }

// packed is the batch as the training loop takes it.
func (b *batch) packed() datasets.Batch {
	out := datasets.Batch{B: b.B, T: b.T, Tokens: b.ids, Targets: b.targets}
	for i, t := range b.targets {
		out.Positions = append(out.Positions, int32(i%b.T))
		out.Segments = append(out.Segments, 1)
		weight := float32(0)
		if t >= 0 {
			weight = 1
		}
		out.Weights = append(out.Weights, weight)
		out.Example, out.Offset = append(out.Example, int32(i/b.T)), append(out.Offset, -1)
	}
	return out
}
