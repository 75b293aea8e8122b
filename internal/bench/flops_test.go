package bench

import "testing"

// Counted by hand for the shape tiny. A layer's matrices: q 64·64, k and v
// 32·64, o 64·64, gate, up and down 128·64: 36,864 values. A pair of query and
// key: 4 heads of 16, score and value, two operations each: 256.
func TestFLOPs(t *testing.T) {
	c := shapeOf(t, "tiny")
	for _, v := range []struct {
		name      string
		got, want float64
	}{
		// 2 layers of 2·36864·3 + 256·6, and a head of 2·256·64.
		{"a prompt of 3", forwardFLOPs(&c, 0, 3, 1), 2*(221184+1536) + 32768},
		// Tokens 6 and 7 see 6 + 7 keys; two heads.
		{"2 tokens after 5", forwardFLOPs(&c, 5, 2, 2), 2*(147456+3328) + 65536},
		// 6 rows. Matrices forward and back: 4·36864. Updates of rank 4: 4·1024
		// values, forward, back and their own gradient: 6·4096. Attention: 2
		// sequences of 6 pairs, three times the 256. Less the first layer's way
		// back to the embedding: 2·6 times q, k, v (8192) and their A (3·4·64).
		// Head of 5 rows, forward and back.
		{"a step of 2 × 3", trainFLOPs(&c, 2, 3, 4, 5), 2*(6*(147456+24576)+2*6*768) - 2*6*(8192+768) + 4*5*16384},
		{"a product", gemmFLOPs(3, 5, 7), 210},
	} {
		if v.got != v.want {
			t.Errorf("%s: %v operations, want %v", v.name, v.got, v.want)
		}
	}
	smol := shapeOf(t, "smol135")
	if got := forwardFLOPs(&smol, 0, 512, 0) - 30*pairFLOPs(&smol)*pairs(0, 512); got != 2*512*106_168_320 {
		t.Errorf("linear layers of smol135: %v operations", got)
	}
}
