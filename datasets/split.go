package datasets

import (
	"crypto/sha256"
	"encoding/binary"
)

// splitter divides examples by a hash of their prompt or group.
type splitter struct {
	seed   uint64
	names  []string // in order, with the upper bound of each's share of [0,1)
	bounds []float64
}

func newSplitter(o Options) splitter {
	s := splitter{seed: o.SplitSeed}
	bound := 0.0
	for _, name := range sortedKeys(o.Split) {
		bound += o.Split[name]
		s.names = append(s.names, name)
		s.bounds = append(s.bounds, bound)
	}
	return s
}

// of returns the split of an example from a file listed under the given split.
func (s splitter) of(listed, by string) string {
	if listed != "" && listed != TrainSplit {
		return listed
	}
	if len(s.names) > 0 {
		// The upper 53 bits as a number in [0,1), exactly.
		u := float64(promptHash("split", s.seed, by)>>11) / (1 << 53)
		for i, bound := range s.bounds {
			if u < bound {
				return s.names[i]
			}
		}
	}
	return TrainSplit
}

// promptHash is a number for the prompt that the seed and purpose change.
func promptHash(purpose string, seed uint64, prompt string) uint64 {
	b := make([]byte, 0, 64+len(prompt))
	b = append(append(append(b, "datasets."...), purpose...), 0)
	b = append(binary.LittleEndian.AppendUint64(b, seed), prompt...)
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}
