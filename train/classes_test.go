package train_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/train"
)

func tinyClassifier(t *testing.T, threads int, lora bool) *model.Classifier {
	t.Helper()
	c, err := model.NewClassifier(cpu.New(threads), model.ClassifierConfig{ModelType: "bert", VocabSize: 40, EmbeddingSize: 16,
		HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumHiddenGroups: 1, InnerGroupNum: 1, NumAttentionHeads: 2,
		MaxPositionEmbeddings: 32, TypeVocabSize: 2, HiddenAct: "gelu", LayerNormEps: 1e-5, InitializerRange: 0.2,
		Labels: []string{"a", "b", "c"}}, random.Stream(3, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	if lora {
		err = c.AddLoRA(model.LoRA{R: 3, Dropout: 0.2}, random.Stream(4, "updates"))
	} else {
		err = c.Unfreeze()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// classified are sequences whose class is how their last token compares with the
// one before: what no token alone tells.
func classified(n int) ([]datasets.Sequence, []int32) {
	rng := random.Stream(5, "classified")
	var list []datasets.Sequence
	var labels []int32
	for i := range n {
		tokens := []int32{0}
		for range 1 + rng.IntN(4) {
			tokens = append(tokens, int32(3+rng.IntN(20)))
		}
		class := int32(rng.IntN(3))
		tokens = append(tokens, 30+class, 1)
		list, labels = append(list, datasets.Sequence{Tokens: tokens, Example: i}), append(labels, class)
	}
	return list, labels
}

func classes(t *testing.T, list []datasets.Sequence, labels []int32, o datasets.BatchOptions) *train.Classes {
	t.Helper()
	c, err := train.NewClasses(batches(t, list, o), labels, 3)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// accuracy is the share of texts whose likeliest label is theirs.
func accuracy(t *testing.T, c *model.Classifier, list []datasets.Sequence, labels []int32) float64 {
	t.Helper()
	var texts []model.Text
	for _, s := range list {
		texts = append(texts, model.Text{Tokens: s.Tokens})
	}
	logits, err := c.Logits(texts)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, row := range logits {
		if slices.Index(row, slices.Max(row)) == int(labels[i]) {
			right++
		}
	}
	return float64(right) / float64(len(list))
}

func TestClassifierLearns(t *testing.T) {
	list, labels := classified(80)
	for _, lora := range []bool{false, true} {
		c := tinyClassifier(t, 2, lora)
		before := accuracy(t, c, list[60:], labels[60:])
		summary := do(t, train.Run{Student: c,
			Data:    train.Data{Source: classes(t, list[:60], labels, datasets.BatchOptions{Rows: 4, Length: 32}), Objective: train.CrossEntropy{}},
			Options: train.Options{Epochs: 25, LearningRate: 0.01}})
		if after := accuracy(t, c, list[60:], labels[60:]); !(after > 0.9 && before < 0.7) || summary.Tokens != 25*60 {
			t.Errorf("low-rank %v: accuracy %v, before %v; %+v", lora, after, before, summary)
		}
	}
}

// longClassification trains with everything that has a state.
func longClassification(t *testing.T, c *model.Classifier, checkpoint string, report func(train.Progress)) train.Run {
	list, labels := classified(30)
	return train.Run{Student: c, Checkpoint: checkpoint, Identity: "test", Report: report,
		Data:  train.Data{Source: classes(t, list, labels, datasets.BatchOptions{Rows: 2, Length: 16, Seed: 4}), Objective: train.CrossEntropy{}},
		Valid: &train.Data{Source: classes(t, list[:6], labels, datasets.BatchOptions{Rows: 2, Length: 16, InOrder: true}), Objective: train.CrossEntropy{}},
		Options: train.Options{Epochs: 2, LearningRate: 0.02, Warmup: 0.2, Dropout: 0.2, Accumulate: 2, WeightDecay: 0.1,
			Keep: "best", ValidEvery: 2, CheckpointEvery: 2, Seed: 9}}
}

func classifierValues(c *model.Classifier) [][]float32 {
	var list [][]float32
	for _, p := range c.Params() {
		list = append(list, slices.Clone(c.Device().Host(compute.Of(p.Value))))
	}
	return list
}

func TestClassifierRunsAreTheSameBits(t *testing.T) {
	for _, lora := range []bool{false, true} {
		whole := tinyClassifier(t, 2, lora)
		want := do(t, longClassification(t, whole, "", nil))
		one := tinyClassifier(t, 1, lora)
		do(t, longClassification(t, one, "", nil))
		sameBits(t, "one thread", classifierValues(one), classifierValues(whole))
		for stop := 1; stop < want.Steps; stop += 3 {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			first := longClassification(t, tinyClassifier(t, 2, lora), dir, func(p train.Progress) {
				if p.Step == stop {
					cancel()
				}
			})
			if _, err := first.Do(ctx); err == nil {
				t.Fatal("it was not stopped")
			}
			second := tinyClassifier(t, 2, lora)
			do(t, longClassification(t, second, dir, nil))
			sameBits(t, "continued", classifierValues(second), classifierValues(whole))
		}
	}
}

// A small limit makes layers be computed again, and changes no bit.
func TestClassifierKeepsToMemory(t *testing.T) {
	list, labels := classified(30)
	run := func(limit int64) (planned train.Memory, values [][]float32) {
		c := tinyClassifier(t, 2, false)
		r := longClassification(t, c, "", nil)
		r.Data.Source = classes(t, list, labels, datasets.BatchOptions{Rows: 64, Length: 64, Seed: 4})
		r.Options.Memory = bytesize.Size(limit)
		r.Planned = func(m train.Memory) { planned = m }
		do(t, r)
		return planned, classifierValues(c)
	}
	full, want := run(0)
	small, got := run(full.Peak - 1)
	if full.Layers != 2 || full.Recomputed != 0 || small.Recomputed == 0 || small.Peak >= full.Peak {
		t.Errorf("planned %+v, and %+v for less", full, small)
	}
	sameBits(t, "with less memory", got, want)
}

func TestClassesRefuse(t *testing.T) {
	list, labels := classified(5)
	b := batches(t, list, datasets.BatchOptions{Rows: 2, Length: 16})
	for want, c := range map[string][]int32{"example 4: there are classes for 4": labels[:4], "example 2: class 3 of 3": {0, 0, 3, 0, 0}, "class -1": {0, -1, 0, 0, 0}} {
		if _, err := train.NewClasses(b, c, 3); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// What is planned without values is what a run with them takes.
func TestClassifierOutlineNeedsTheSame(t *testing.T) {
	for _, lora := range []bool{false, true} {
		whole := tinyClassifier(t, 1, lora)
		outline, err := model.ClassifierOutline(whole.Config, compute.F32)
		if err != nil {
			t.Fatal(err)
		}
		if lora {
			err = outline.AddLoRA(model.LoRA{R: 3, Dropout: 0.2}, nil)
		} else {
			err = outline.Unfreeze()
		}
		if err != nil {
			t.Fatal(err)
		}
		var got [2]train.Memory
		for i, c := range []*model.Classifier{whole, outline} {
			if got[i], err = (train.Need{Student: c, Rows: 300, ValidRows: 200, Options: train.Options{Keep: "best", Dropout: 0.1}}).Memory(1 << 40); err != nil {
				t.Fatal(err)
			}
		}
		whole.Merge()
		outline.Merge()
		if got[0] != got[1] || got[0].Peak < 1<<20 || outline.Trainable() != whole.Trainable() || outline.Bytes() != whole.Bytes() {
			t.Errorf("low-rank %v: %+v, of the outline %+v", lora, got[0], got[1])
		}
	}
}
