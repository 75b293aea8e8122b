// Package verify compares this engine with reference tensors that other
// software computed on the same model: logits, losses, greedy tokens, and with a
// low-rank adapter also gradients, the losses of training, and merged weights.
//
// A reference is a safetensors file. Its tensors, B sequences of T tokens:
//
//	input_ids, labels       (B,T) labels below 0 are not learned
//	logits                  (B,T,V)
//	loss_mean, loss_sum     of the shifted cross-entropy in nats: position t predicts label t+1
//	loss_tokens             how many labels that are
//	greedy_prompt<P>_new<N> (R,N) greedy continuation of the first P ids of the first R sequences
//	lora_logits, lora_loss_mean, lora_loss_sum  the same with the adapter
//	lora_grad.<name>        gradient of lora_loss_mean in PEFT's parameter
//	lora_adamw<N>_losses    (N) mean loss before each of N steps of AdamW on the adapter: learning rate
//	                        1e-3, betas 0.9 and 0.999, epsilon 1e-8, decay 0.01 of all
//	                        that is trained, gradient norm clipped to 1
//	merged_logits           logits after the adapter was merged into the weights
//
// Any of them may be missing but input_ids.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/checkpoint"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/safetensors"
)

// Options name what is compared.
type Options struct {
	Model     string // a Hugging Face directory or a GGUF file
	Reference string // a safetensors file; "" is golden.safetensors beside the model
	Adapter   string // a PEFT directory; "" is adapter beside the reference or else the model, if it is there
}

// withDefaults looks beside the model.
func (o Options) withDefaults() (Options, error) {
	info, err := os.Stat(o.Model)
	if err != nil {
		return o, err
	}
	dir := o.Model
	if !info.IsDir() {
		dir = filepath.Dir(o.Model)
	}
	places := []string{dir}
	if o.Reference != "" {
		places = []string{filepath.Dir(o.Reference), dir}
	}
	for _, place := range places {
		adapter := filepath.Join(place, "adapter")
		if _, err := os.Stat(adapter); err == nil && o.Adapter == "" {
			o.Adapter = adapter
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
	}
	if o.Reference == "" {
		o.Reference = filepath.Join(dir, "golden.safetensors")
	}
	return o, nil
}

// run is a comparison under way.
type run struct {
	o      Options
	ref    *reference
	report *Report
}

// Run compares the model with its reference. An error is of files that cannot
// be read or do not fit together; deviations are in the Report.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	f, err := safetensors.Open(o.Reference)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c := &run{o: o, ref: &reference{f: f, used: map[string]bool{}}, report: newReport(o)}
	if err := c.compare(ctx); err != nil {
		return nil, fmt.Errorf("verify %s: %w", o.Model, err)
	}
	if c.report.finish(c.ref); len(c.report.Checks) == 0 {
		return nil, fmt.Errorf("verify %s: %s has nothing to compare", o.Model, o.Reference)
	}
	return c.report, nil
}

func (c *run) compare(ctx context.Context) error {
	if is, err := c.encoder(ctx); is || err != nil {
		return err
	}
	b, err := c.ref.batch()
	if err != nil {
		return fmt.Errorf("%s: %w", c.o.Reference, err)
	}
	for _, stage := range []struct {
		adapter bool
		do      func(context.Context, *model.Model, *batch) error
	}{{false, c.base}, {true, c.tuned}, {true, c.merged}} {
		if stage.adapter && (c.o.Adapter == "" || !c.ref.ofAdapter()) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.with(stage.adapter, func(m *model.Model) error { return stage.do(ctx, m, b) }); err != nil {
			return err
		}
	}
	return nil
}

// with opens the model, as files have it, for one use: merging and training
// change it.
func (c *run) with(adapter bool, do func(m *model.Model) error) (err error) {
	m, err := checkpoint.Open(c.o.Model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	m.Extend(math.MaxInt32) // the reference is not refused more tokens than positions either
	// Numbers that can be compared were computed without dropout.
	m.Config.AttentionDropout, m.Config.ResidualDropout = 0, 0
	if adapter {
		if err := m.LoadAdapter(c.o.Adapter); err != nil {
			return err
		}
	}
	return do(m)
}

// base compares the model without the adapter.
func (c *run) base(ctx context.Context, m *model.Model, b *batch) error {
	if err := c.logits(m, b, "logits"); err != nil {
		return err
	}
	if err := c.losses(m, b, ""); err != nil {
		return err
	}
	return c.greedy(ctx, m, b)
}

// tuned compares the model with the adapter, and how it trains.
func (c *run) tuned(ctx context.Context, m *model.Model, b *batch) error {
	if err := c.logits(m, b, "lora_logits"); err != nil {
		return err
	}
	if err := c.losses(m, b, "lora_"); err != nil {
		return err
	}
	if err := c.gradients(m, b); err != nil {
		return err
	}
	return c.training(ctx, m, b)
}

// merged compares the model after the adapter was added to its weights.
func (c *run) merged(_ context.Context, m *model.Model, b *batch) error {
	if !c.ref.has("merged_logits") {
		c.report.absent("merged_logits")
		return nil
	}
	if err := m.Merge(); err != nil {
		return err
	}
	return c.logits(m, b, "merged_logits")
}

// names of the reference that begin with prefix, sorted.
func (r *reference) names(prefix string) []string {
	return slices.DeleteFunc(r.f.Names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// ofAdapter tells whether anything in the reference is about an adapter.
func (r *reference) ofAdapter() bool { return len(r.names("lora_"))+len(r.names("merged_")) > 0 }
