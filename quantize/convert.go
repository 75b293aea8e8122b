package quantize

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

// frozenFormats are what Convert makes.
var frozenFormats = []compute.Format{compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.NF4}

// Frozen replaces the matrix of every linear layer of m by one stored in f:
// the frozen base that low-rank updates are trained over (QLoRA, Dettmers et
// al. 2023). Embedding, head, biases and norms stay as they are. See Convert
// for the formats. A matrix that is trained itself, that lost something in
// another format before, or whose rows do not fit is an error that names it,
// and changes nothing; after a value that f cannot hold, some matrices have
// been replaced. No Graph or Decoder of m may have been made yet.
func Frozen(m *model.Model, f compute.Format) error {
	if err := checkFrozen(m, f); err != nil {
		return fmt.Errorf("store linear layers as %s: %w", f, err)
	}
	for name, part := range m.Linears() {
		if m.IsOutline() {
			part.Weight = compute.Outline(f, part.Weight.Out, part.Weight.In)
			continue
		}
		w, err := Convert(part.Weight, f)
		if err != nil {
			return fmt.Errorf("store linear layers as %s: tensor %s: %w", f, name, err)
		}
		part.Weight = w
	}
	return nil
}

func checkFrozen(m *model.Model, f compute.Format) error {
	for name, part := range m.Linears() {
		if err := checkConvert(part.Weight, f); err != nil {
			return fmt.Errorf("tensor %s: %w", name, err)
		}
		if part.WeightParam != nil {
			return fmt.Errorf("tensor %s is trained itself", name)
		}
	}
	return nil
}

func checkConvert(w *compute.Weight, f compute.Format) error {
	switch {
	case !slices.Contains(frozenFormats, f):
		names := make([]string, len(frozenFormats))
		for i, g := range frozenFormats {
			names[i] = g.String()
		}
		return fmt.Errorf("no encoder of %s: want one of %s", f, strings.Join(names, ", "))
	case w.Format == f:
		return nil
	case w.Format.BlockValues() > 1:
		return fmt.Errorf("is %s already: begin with the model that it was made from", w.Format)
	case w.In%f.BlockValues() != 0:
		return fmt.Errorf("rows of %d values are not whole blocks of %d", w.In, f.BlockValues())
	}
	return nil
}

// Convert returns w stored in f: F16, BF16, Q8_0, Q4_0 or NF4; w itself if it
// is already. It uses as many threads as Go may, and the bytes are the same at
// any number. A value that is no number or too large for f is an error that
// gives its row.
func Convert(w *compute.Weight, f compute.Format) (*compute.Weight, error) {
	if err := checkConvert(w, f); err != nil {
		return nil, err
	}
	if w.Format == f {
		return w, nil
	}
	if f == compute.NF4 {
		return encodeNF4(w)
	}
	size := f.RowBytes(w.In)
	data := make([]byte, w.Out*size)
	err := eachRows(w, 1, func(row int, values []float32) error {
		if err := Encode(f, data[row*size:(row+1)*size], values); err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return compute.NewWeight(f, w.Out, w.In, data)
}

// eachRows calls do with n rows of w at a time, dequantized, fewer at the end:
// each goroutine does a share of them, in order. Of several errors it returns
// that of the first row.
func eachRows(w *compute.Weight, n int, do func(row int, values []float32) error) error {
	pieces := (w.Out + n - 1) / n
	workers := min(pieces, runtime.GOMAXPROCS(0))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			values := make([]float32, n*w.In)
			for i := k * pieces / workers; i < (k+1)*pieces/workers && errs[k] == nil; i++ {
				rows := min(n, w.Out-i*n)
				for j := range rows {
					w.Row(values[j*w.In:(j+1)*w.In], i*n+j)
				}
				errs[k] = do(i*n, values[:rows*w.In])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
