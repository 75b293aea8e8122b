package cpu

import "github.com/retort-ml/retort/internal/compute"

// AttentionCached gathers each sequence's parts and attends.
func (d *Device) AttentionCached(out, q compute.Mat, sequences []compute.CachedSequence, a compute.AttentionShape) {
	row := 0
	for _, s := range sequences {
		n := 0
		for _, p := range s.Parts {
			n += p.Keys.Rows
		}
		width := a.KVHeads * a.HeadDim
		keys, values := compute.Of(d.New(n, width)), compute.Of(d.New(n, width))
		at := 0
		for _, p := range s.Parts {
			d.Copy(keys.RowRange(at, at+p.Keys.Rows), p.Keys)
			d.Copy(values.RowRange(at, at+p.Keys.Rows), p.Values)
			at += p.Keys.Rows
		}
		a.KeyOffset, a.From = n-s.Rows, make([]int32, s.Rows)
		lse := compute.Of(d.New(s.Rows, a.Heads))
		d.Attention(out.RowRange(row, row+s.Rows), lse, q.RowRange(row, row+s.Rows), keys, values, a)
		row += s.Rows
	}
}
