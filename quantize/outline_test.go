package quantize_test

import (
	"path/filepath"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/quantize"
)

// An outline has the formats of the file that is written, and takes as much memory.
func TestOutlineIsOfTheWrittenFile(t *testing.T) {
	for _, name := range goldenModels {
		for _, o := range []quantize.Options{{Type: "F16"}, {Type: "Q8_0"}, {Type: "q4_0"}, {Type: "Q4_0", Pure: true}} {
			m := loadGolden(t, name)
			path := filepath.Join(t.TempDir(), "m.gguf")
			if _, err := quantize.WriteGGUF(path, m, vocab(t, m.Config.VocabSize), o); err != nil {
				t.Fatal(err)
			}
			foreseen, err := model.LoadOutline(goldenDir(name))
			if err != nil {
				t.Fatal(err)
			}
			if err := quantize.Outline(foreseen, o); err != nil {
				t.Fatal(err)
			}
			written, err := model.LoadGGUFOutline(path)
			if err != nil {
				t.Fatal(err)
			}
			real := loadGGUF(t, path)
			if got, want := foreseen.Bytes(), real.Bytes(); got != want || written.Bytes() != want {
				t.Errorf("%s as %+v: %d bytes foreseen, %d in the outline of the file, %d loaded", name, o, got, written.Bytes(), want)
			}
			if foreseen.GGUFCopies() != written.GGUFCopies() {
				t.Errorf("%s as %+v: copies of %d bytes, %d foreseen", name, o, written.GGUFCopies(), foreseen.GGUFCopies())
			}
			if foreseen.Embed.Weight.Format != real.Embed.Weight.Format || foreseen.Head.Weight.Format != real.Head.Weight.Format {
				t.Errorf("%s as %+v: tables %s and %s, foreseen %s and %s", name, o, real.Embed.Weight.Format, real.Head.Weight.Format,
					foreseen.Embed.Weight.Format, foreseen.Head.Weight.Format)
			}
		}
	}
}

func TestFrozenOutlineTakesAsManyBytes(t *testing.T) {
	for _, f := range []compute.Format{compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.NF4} {
		m := frozen(t, 96)
		outline, err := model.NewOutline(m.Config, compute.F32)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*model.Model{m, outline} {
			if err := quantize.Frozen(m, f); err != nil {
				t.Fatal(err)
			}
		}
		stored := 0
		for _, part := range m.Linears() {
			stored += part.Weight.Bytes()
		}
		foreseen := 0
		for _, part := range outline.Linears() {
			foreseen += f.MatrixBytes(part.Weight.Out, part.Weight.In)
		}
		if stored != foreseen || m.Bytes() != outline.Bytes() {
			t.Errorf("%s: linear layers of %d bytes, foreseen %d; all %d and %d", f, stored, foreseen, m.Bytes(), outline.Bytes())
		}
	}
}
