package distill_test

import (
	"math"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

func TestTopTable(t *testing.T) {
	table := distill.NewTopTable(2)
	place := func(a, b int32) model.TopTokens {
		return model.TopTokens{IDs: []int32{a, b}, LogProbs: []float32{-0.5, -2}}
	}
	for _, answer := range [][]model.TopTokens{{place(1, 2), place(3, 0)}, nil, {place(9, 8)}} {
		if err := table.Append(answer); err != nil {
			t.Fatal(err)
		}
	}
	bad := place(4, 5)
	bad.LogProbs[1] = float32(math.NaN())
	if err := table.Append([]model.TopTokens{place(6, 7), bad}); err == nil || !strings.Contains(err.Error(), "token 1 of the answer: the teacher's log-probability of token id 5 is NaN") {
		t.Errorf("a NaN: %v", err)
	}
	if err := table.Append([]model.TopTokens{place(7, 6)}); err != nil { // the bad answer left nothing behind
		t.Fatal(err)
	}
	for _, c := range []struct {
		example, place int
		want           int32 // first id; -1: an error
	}{
		{0, 0, 1}, {0, 1, 3}, {2, 0, 9}, {3, 0, 7},
		{0, 2, -1}, {0, -1, -1}, {1, 0, -1}, {3, 1, -1}, {4, 0, -1}, {-1, 0, -1},
	} {
		p, err := table.At(c.example, c.place)
		if c.want < 0 && err == nil || c.want >= 0 && (err != nil || p.IDs[0] != c.want || p.LogProbs[1] != -2) {
			t.Errorf("(%d, %d): %v, error %v, want %d", c.example, c.place, p, err, c.want)
		}
	}
	if table.K() != 2 || table.Examples() != 4 || table.Places(0) != 2 || table.Places(1) != 0 {
		t.Errorf("%d alternatives, %d examples", table.K(), table.Examples())
	}
}
