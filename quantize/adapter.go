package quantize

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
)

// WriteAdapter writes the low-rank updates of m to path as a GGUF adapter of
// F32 or F16, which llama.cpp adds to the base model's file. Updates with
// magnitudes (DoRA), modules that were trained whole, and updates of tied
// tables have no place in one and are errors, as is a value too large for F16.
func WriteAdapter(path string, m *model.Model, f compute.Format) error {
	if f != compute.F32 && f != compute.F16 {
		return fmt.Errorf("write GGUF adapter: type %s: want F32 or F16", f)
	}
	alpha, updates, err := m.GGUFUpdates()
	if err != nil {
		return fmt.Errorf("write GGUF adapter: %w", err)
	}
	meta := []gguf.KV{
		{Key: "general.architecture", Value: m.Config.GGUFArchitecture()},
		{Key: "general.type", Value: "adapter"},
		{Key: "general.file_type", Value: fileTypes[f]},
		{Key: "adapter.type", Value: "lora"},
		{Key: "adapter.lora.alpha", Value: alpha},
	}
	data := make([]gguf.TensorData, len(updates))
	for i, u := range updates {
		t := plannedTensor{name: u.Name, format: f, rows: u.Rows, cols: u.Cols,
			source: func(dst []float32, row int) { copy(dst, u.Values[row*u.Cols:]) }}
		data[i] = t.data()
	}
	if err := gguf.WriteFile(path, meta, data); err != nil {
		return fmt.Errorf("write GGUF adapter: %w", err)
	}
	return nil
}
