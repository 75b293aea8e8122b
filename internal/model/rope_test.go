package model

import (
	"math"
	"testing"
)

// Frequencies of models of real sizes, as the formulas of transformers'
// modeling_rope_utils.py give them in float64: some of the pairs, by index.
func TestScaledFrequencies(t *testing.T) {
	yarn := Config{HeadDim: 64, RopeTheta: 1e4, MaxPositionEmbeddings: 16384, Rope: RopeScaling{Type: "yarn", Factor: 2, OriginalMax: 4096}}
	llama3 := Config{HeadDim: 128, RopeTheta: 5e5, MaxPositionEmbeddings: 131072,
		Rope: RopeScaling{Type: "llama3", Factor: 8, OriginalMax: 8192, LowFreq: 1, HighFreq: 4}}
	check := func(name string, c Config, attention float64, want map[int]float64) {
		r, long := c.rotation()
		if long != nil || !(math.Abs(max(r.Scale, 1)-attention) < 1e-9) {
			t.Errorf("%s: a factor of %v, want %v", name, r.Scale, attention)
		}
		for j, w := range want {
			if !(math.Abs(r.Frequencies[j]-w) <= 1e-9*w) {
				t.Errorf("%s: frequency %d is %v, want %v", name, j, r.Frequencies[j], w)
			}
		}
	}
	check("yarn", yarn, 1+0.1*math.Log(4), map[int]float64{
		0:  1,
		9:  0.0749894209332,
		12: 0.0279739946861,
		16: 0.00653846153846,
		20: 0.00133788670238,
		24: 0.00025,
		31: 3.33380358041e-05,
	})
	check("llama3", llama3, 1, map[int]float64{
		0:  1,
		20: 0.016560440081,
		29: 0.0021665707635,
		31: 0.00085675141292,
		33: 0.000312693750384,
		35: 9.55621235396e-05,
		50: 4.41153467456e-06,
		63: 3.06892598891e-07,
	})
}
