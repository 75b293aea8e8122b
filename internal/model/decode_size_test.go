package model

import (
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/random"
)

// arrayBytes is what a Decoder's arrays take.
func arrayBytes(d *Decoder) int {
	n := 0
	for _, a := range d.eager.arrays {
		n += 4 * a.Shape().TotalSize()
	}
	return n
}

func TestSizesAreWhatADecoderTakes(t *testing.T) {
	m := long(t, cpu.New(1))
	if err := m.AddLoRA(LoRA{R: 2, Targets: []string{"q_proj", "down_proj"}}, random.Stream(1, "lora")); err != nil {
		t.Fatal(err)
	}
	const batch, prompt, answer = 3, 40, 9
	var prompts [][]int32
	for _, name := range []string{"a", "b", "c"} {
		prompts = append(prompts, sequence(name, prompt))
	}
	d := NewDecoder(m)
	err := d.Generate(t.Context(), prompts, GenerateOptions{MaxTokens: answer, Batch: batch}, func(int, Answer) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	// Caches: each has room for its prompt and its answer, and all are kept at the end.
	want := arrayBytes(d) + d.memory.bytes
	got := m.GenerateBytes(batch, batch, prompt, answer)
	if got < want || got > want+want/10 {
		t.Errorf("generating takes %d bytes, foreseen were %d", want, got)
	}
	if more := m.GenerateBytes(batch+1, batch, prompt, answer); more <= got || more > 2*got {
		t.Errorf("with prompts that wait %d bytes were foreseen, without %d", more, got)
	}
	d = NewDecoder(m)
	const scored, sequences = 100, 11 // just more than a step's rows
	var list [][]int32
	var from []int
	for i := range sequences {
		list, from = append(list, sequence(string(rune('a'+i)), scored)), append(from, 1)
	}
	if _, err := d.Score(t.Context(), list, from, 0); err != nil {
		t.Fatal(err)
	}
	want = arrayBytes(d) + d.memory.bytes
	if got := m.ScoreBytes(sequences*scored, sequences, scored); got < want || got > want+want/10 {
		t.Errorf("scoring takes %d bytes, foreseen were %d", want, got)
	}
}
