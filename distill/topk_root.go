package distill

import (
	"encoding/binary"
	"math"
	"sync"
)

// topk.arrow has probabilities p as x = 65,535·p^(1/8) rounded, never 0: the least,
// and every one below, is e^-88.7.
//
// As TestRoundingErrorOfTopFile measures it on a real model, a gradient has an eighth
// of the error that it has with log p in float16, which takes as many bits. Lower
// powers are better at temperature 1 and lose the unlikely tokens that count at
// higher ones; 4 to 12 differ little.
const (
	rootPower = 8
	rootOne   = math.MaxUint16
)

// rootOf is x for a log-probability in nats, of which rounding may have taken
// some above 0.
func rootOf(logProb float64) uint16 {
	return uint16(max(1, min(rootOne, math.Round(rootOne*math.Exp(logProb/rootPower)))))
}

// rootLogs are the log-probabilities of all x. That of 0 is -Inf.
var rootLogs = sync.OnceValue(func() *[rootOne + 1]float32 {
	var logs [rootOne + 1]float32
	for x := range logs {
		logs[x] = float32(rootPower * math.Log(float64(x)/rootOne))
	}
	return &logs
})

// rootAt is the i-th x of b.
func rootAt(b []byte, i int) uint16 { return binary.LittleEndian.Uint16(b[2*i:]) }
