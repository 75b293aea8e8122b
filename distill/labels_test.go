package distill_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill"
)

func TestLabelDistributions(t *testing.T) {
	label := func(s string) (int, bool) {
		n := strings.Index("abc", s)
		return n, n >= 0 && s != ""
	}
	row := func(id, answer string, weight float32) distill.Row {
		return distill.Row{ID: id, Answer: answer, Weight: weight}
	}
	why := row("y", "a", 5)
	why.Target = distill.TargetRationale
	ids, shares, err := distill.LabelDistributions([]distill.Row{row("x", "a", 1), row("y", "c", 0.5), row("x", " b\n", 3), row("x", "what?", 9), why}, 3, label)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"x", "y"}; !reflect.DeepEqual(ids, want) {
		t.Errorf("ids %v, want %v", ids, want)
	}
	if want := [][]float64{{0.25, 0.75, 0}, {0, 0, 1}}; !reflect.DeepEqual(shares, want) {
		t.Errorf("shares %v, want %v", shares, want)
	}
	for want, rows := range map[string][]distill.Row{
		"example y: none":    {row("x", "a", 1), row("y", "?", 1)},
		"row 0 (x): label 2": {row("x", "c", 1)},
	} {
		if _, _, err := distill.LabelDistributions(rows, 2, label); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
