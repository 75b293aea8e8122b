package quantize

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
)

// WriteAdapter writes the low-rank updates of m to path as a GGUF adapter in
// float32, which llama.cpp adds to the base model's file. Updates with
// magnitudes (DoRA), modules that were trained whole, and updates of tied
// tables have no place in one and are errors.
func WriteAdapter(path string, m *model.Model) error {
	alpha, updates, err := m.GGUFUpdates()
	if err != nil {
		return fmt.Errorf("write GGUF adapter: %w", err)
	}
	meta := []gguf.KV{
		{Key: "general.architecture", Value: m.Config.ModelType},
		{Key: "general.type", Value: "adapter"},
		{Key: "general.file_type", Value: fileTypes[compute.F32]},
		{Key: "adapter.type", Value: "lora"},
		{Key: "adapter.lora.alpha", Value: alpha},
	}
	data := make([]gguf.TensorData, len(updates))
	for i, u := range updates {
		t := plannedTensor{name: u.Name, format: compute.F32, rows: u.Rows, cols: u.Cols,
			source: func(dst []float32, row int) { copy(dst, u.Values[row*u.Cols:]) }}
		data[i] = t.data()
	}
	if err := gguf.WriteFile(path, meta, data); err != nil {
		return fmt.Errorf("write GGUF adapter: %w", err)
	}
	return nil
}
