package bench

import (
	"bytes"
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/random"
)

// Every format's random weights are finite, around 0, deviate as those of a
// new model do, and are the same every time.
func TestRandomWeights(t *testing.T) {
	for _, name := range Formats() {
		t.Run(name, func(t *testing.T) {
			f, _ := formatOf(name)
			const out, in = 64, 512
			w, err := f.weight(out, in, random.Stream(3, name))
			if err != nil {
				t.Fatal(err)
			}
			again, err := f.weight(out, in, random.Stream(3, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(w.Data(), again.Data()) {
				t.Error("not the same weights again")
			}
			sum, squares := 0.0, 0.0
			row := make([]float32, in)
			for i := range out {
				w.Row(row, i)
				for _, x := range row {
					sum += float64(x)
					squares += float64(x) * float64(x)
				}
			}
			mean, std := sum/(out*in), math.Sqrt(squares/(out*in))
			if !(math.Abs(mean) <= 0.1*deviation) || !(math.Abs(std-deviation) <= 0.2*deviation) {
				t.Errorf("mean %v, deviation %v, want 0 and %v", mean, std, deviation)
			}
			if _, err := f.weight(1, f.block, random.Stream(3, name)); err != nil {
				t.Errorf("a row of one block: %v", err)
			}
		})
	}
}

// The model is what the shape says, in the formats asked for, and its numbers
// do not blow up on the way to the head.
func TestBuild(t *testing.T) {
	c := shapeOf(t, "tiny")
	l, err := inferred("q4_0", &c, false)
	if err != nil {
		t.Fatal(err)
	}
	m, bytes, err := build(t.Context(), cpu.New(1), c, l)
	if err != nil {
		t.Fatal(err)
	}
	q8, q4 := 256*64/32*34, 2*36864/32*18
	if len(bytes) != 2 || bytes["Q8_0"] != q8 || bytes["Q4_0"] != q4 {
		t.Errorf("stored %v, want Q8_0 %d, Q4_0 %d", bytes, q8, q4)
	}
	if m.Head != m.Embed || m.Embed.Weight.Format != compute.Q8_0 || m.Layers[1].Down.Parts[0].Weight.Format != compute.Q4_0 {
		t.Error("the model is of other formats")
	}
	if want := 256*64 + 2*(36864+2*64) + 64; m.Parameters() != want {
		t.Errorf("%d parameters, want %d", m.Parameters(), want)
	}
}
