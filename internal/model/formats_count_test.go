package model_test

import (
	"reflect"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

func TestFormats(t *testing.T) {
	quantized, _ := quantizedDirs(t, gptq(nil), "mlp.up", gptqLayout(1, gridOptions{size: 32}))
	m := loadDir(t, quantized)
	up, values, bytes := 3*176*64, 0, 0
	want := model.FormatCount{Format: compute.Q4_0, Tensors: 3, Values: up, Bytes: up / 32 * 18}
	counts := m.Formats()
	if len(counts) != 2 || counts[0].Format != compute.F32 || counts[1] != want {
		t.Errorf("%+v, want F32 and %+v", counts, want)
	}
	for _, c := range counts {
		values, bytes = values+c.Values, bytes+c.Bytes
	}
	if all := len(tensorsOf(t, goldenDir("llama-gqa")+"/"+weightsFile)); counts[0].Tensors+3 != all || bytes != m.Bytes() || values*4 < bytes {
		t.Errorf("%d tensors and %d bytes, want %d and %d", counts[0].Tensors+3, bytes, all, m.Bytes())
	}
	outline, err := model.LoadOutline(quantized)
	if err != nil || !reflect.DeepEqual(outline.Formats(), counts) {
		t.Errorf("outline %+v, %v", outline.Formats(), err)
	}
}
