package train_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/train"
)

// AdamW's first step changes every value by its learning rate, whatever the
// gradient, so that the rate of each parameter shows.
func TestLoRAPlusRates(t *testing.T) {
	m, err := model.New(cpu.New(2), tinyFull(t).Config, random.Stream(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	o := model.LoRA{R: 2, DoRA: false, Init: "false", Targets: []string{"embed_tokens", "q_proj"}, ModulesToSave: []string{"model.norm"}}
	if err := m.AddLoRA(o, random.Stream(2, "updates")); err != nil {
		t.Fatal(err)
	}
	before := values(m)
	do(t, train.Run{Student: m, Data: train.Data{Source: batches(t, sequences(6), datasets.BatchOptions{Rows: 6, Length: 12}), Objective: train.CrossEntropy{}},
		Options: train.Options{Steps: 1, LearningRate: 1e-3, LoRAPlusRatio: 8, LoRAPlusEmbedding: 1e-4, ClipNorm: -1, Epsilon: 1e-12}})
	after := values(m)
	for i, p := range m.Params() {
		want := 1e-3
		switch {
		case strings.Contains(p.Name, "embedding"):
			want = 1e-4
		case strings.Contains(p.Name, "lora_B"), strings.Contains(p.Name, "norm"):
			want = 8e-3
		}
		var steps []float64
		for j := range after[i] {
			steps = append(steps, math.Abs(float64(after[i][j]-before[i][j])))
		}
		if got := slices.Max(steps); !(math.Abs(got-want) <= 2e-3*want) {
			t.Errorf("%s changes by %v, want %v", p.Name, got, want)
		}
	}
}

func TestLoRAPlusOptions(t *testing.T) {
	if o := (train.Options{LoRAPlusRatio: 16}).WithDefaults(); o.LoRAPlusEmbedding != 1e-6 {
		t.Errorf("embedding's rate %v, want 1e-6", o.LoRAPlusEmbedding)
	}
	for _, o := range []train.Options{{LoRAPlusRatio: -1}, {LoRAPlusEmbedding: 1e-5}, {LoRAPlusRatio: math.NaN()}} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "loraplus_lr_") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}
