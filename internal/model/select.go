package model

import (
	"math"
	"slices"
)

// A draw from the whole vocabulary needs the order of the tokens only around
// the place where it ends. A descent sums up weights in buckets of about equal
// likelihood, and puts only the tokens of one bucket in order.
const (
	// perNat is how many buckets a nat has: 64 to a factor of 2.
	perNat = 64 / math.Ln2
	// bucketCount ends where a token is 64 nats below the likeliest: e^-64 =
	// 2e-28 adds nothing to a float64 sum, and such a token is never drawn.
	bucketCount   = 5909
	narrowBuckets = 64
	// fewTokens is up to how many tokens are put in order at once.
	fewTokens = 128
)

// descent is the tokens of one row from the likeliest down: token i has the
// weight e^(−distance/perNat).
type descent struct {
	scores []float32
	best   float64 // the highest score
	factor float64 // perNat/temperature
	limit  float64 // tokens with a greater distance do not count

	sums   [bucketCount]float64
	narrow [narrowBuckets]float64
	ids    []int32
}

// begin sets the row, and returns the sum of the weights of tokens at most that
// many nats below the likeliest.
func (d *descent) begin(scores []float32, best float32, temperature, nats float64) float64 {
	d.scores, d.best = scores, float64(best)
	d.factor = perNat / max(temperature, 1e-300) // finite, so that no distance is 0·infinity
	d.limit = min(nats*perNat, math.Nextafter(bucketCount, 0))
	clear(d.sums[:])
	sums, largest, factor, limit := &d.sums, d.best, d.factor, d.limit // in registers
	for _, v := range scores {
		if u := (largest - float64(v)) * factor; u <= limit {
			k := int(u)
			sums[k] += weightWithin(u - float64(k))
		}
	}
	total := 0.0
	for k := range d.sums {
		if d.sums[k] > 0 {
			d.sums[k] *= bucketWeight(k)
			total += d.sums[k]
		}
	}
	return total
}

// distance is how far a score is below the likeliest one's, in buckets.
func (d *descent) distance(score float32) float64 { return (d.best - float64(score)) * d.factor }

// scoreAt returns the score at a distance, or one that is sure to be lower or
// higher by the sign: whatever is rounded, in less than its millionth part.
func (d *descent) scoreAt(distance, sign float64) float32 {
	v := d.best - distance/d.factor
	return float32(v + sign*1e-6*(math.Abs(v)+1))
}

// find returns the first token at which the weights from the likeliest down,
// the lowest id first of equals, reach mass, and their sum. A mass that only
// rounding keeps from being reached ends with the last token.
func (d *descent) find(mass float64) (id int32, sum float64) {
	at, sum := reach(d.sums[:], 0, mass)
	d.ids = d.ids[:0]
	low, high := float64(at), min(math.Nextafter(float64(at+1), 0), d.limit)
	lowest, highest := d.scoreAt(high, -1), d.scoreAt(low, 1)
	for i, v := range d.scores {
		if v >= lowest && v <= highest {
			if u := d.distance(v); u >= low && u <= high {
				d.ids = append(d.ids, int32(i))
			}
		}
	}
	span := 1.0
	// A span that float32 values do not divide holds equals, in order already.
	for len(d.ids) > fewTokens && span > 1e-9 {
		at, sum = d.divide(low, span, sum, mass)
		span /= narrowBuckets // powers of two: no edge is rounded
		low += float64(at) * span
	}
	slices.SortFunc(d.ids, likelier(d.scores))
	for _, id = range d.ids {
		if sum += d.weight(id); sum >= mass {
			break
		}
	}
	return id, sum
}

// divide keeps of ids, whose distances are in the span from low on, those of the
// narrower span where the weights after sum reach mass, and returns its place
// and the sum before it.
func (d *descent) divide(low, span, sum, mass float64) (at int, before float64) {
	place := func(id int32) int { return int((d.distance(d.scores[id]) - low) * (narrowBuckets / span)) }
	clear(d.narrow[:])
	for _, id := range d.ids {
		d.narrow[place(id)] += d.weight(id)
	}
	at, before = reach(d.narrow[:], sum, mass)
	d.ids = slices.DeleteFunc(d.ids, func(id int32) bool { return place(id) != at })
	return at, before
}

// reach returns the first bucket with which sum and the sums up to it reach
// mass, or the last bucket that has any, and what is before it.
func reach(sums []float64, sum, mass float64) (at int, before float64) {
	before = sum
	for i, s := range sums {
		if s == 0 {
			continue
		}
		at, before = i, sum
		if sum += s; sum >= mass {
			break
		}
	}
	return at, before
}

func (d *descent) weight(id int32) float64 {
	u := d.distance(d.scores[id])
	k := int(u)
	return bucketWeight(k) * weightWithin(u-float64(k))
}

// powers holds 2^(−i/64).
var powers = func() (p [64]float64) {
	for i := range p {
		p[i] = math.Exp2(-float64(i) / 64)
	}
	return p
}()

// bucketWeight returns the weight 2^(−k/64) of the bucket's first distance.
func bucketWeight(k int) float64 {
	return powers[k%64] * math.Float64frombits(uint64(1023-k/64)<<52)
}

// weightWithin returns e^(−f/perNat) for 0 ≤ f < 1, to 1e-12: five terms of the series.
func weightWithin(f float64) float64 {
	const r = -1 / perNat
	return 1 + f*(r+f*(r*r/2+f*(r*r*r/6+f*(r*r*r*r/24))))
}

// likelier orders tokens by their scores, the highest first, the lowest id first of equals.
func likelier(scores []float32) func(a, b int32) int {
	return func(a, b int32) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return int(a - b)
	}
}

// largest returns the index of the largest value, the first of equals.
func largest(values []float32) int {
	best, top := 0, float32(math.Inf(-1))
	i := 0
	for ; i+8 <= len(values); i += 8 {
		v := (*[8]float32)(values[i:])
		if v[0] <= top && v[1] <= top && v[2] <= top && v[3] <= top && v[4] <= top && v[5] <= top && v[6] <= top && v[7] <= top {
			continue
		}
		for j, v := range v {
			if v > top {
				best, top = i+j, v
			}
		}
	}
	for ; i < len(values); i++ {
		if values[i] > top {
			best, top = i, values[i]
		}
	}
	return best
}

// largestFew appends the indices of the k largest values to ids, which is
// empty, largest first, the lowest index first of equals. It keeps the best so
// far as a heap whose root is the worst of them; most values fail the
// comparison with it.
func largestFew(ids []int32, values []float32, k int) []int32 {
	k = min(k, len(values))
	if k == 0 {
		return ids
	}
	for i := range k {
		ids = append(ids, int32(i))
	}
	if k < len(values) {
		for i := k/2 - 1; i >= 0; i-- {
			sink(ids, i, values)
		}
		worst := values[ids[0]]
		for i := k; i < len(values); i++ {
			if values[i] > worst {
				ids[0] = int32(i)
				sink(ids, 0, values)
				worst = values[ids[0]]
			}
		}
	}
	slices.SortFunc(ids, likelier(values))
	return ids
}

// sink moves the id at i down until no id below it is worse: of a smaller
// value, or of the same and a higher index.
func sink(heap []int32, i int, values []float32) {
	id := heap[i]
	v := values[id]
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		c := heap[child]
		if child+1 < len(heap) {
			if right := heap[child+1]; values[right] < values[c] || values[right] == values[c] && right > c {
				child, c = child+1, right
			}
		}
		if v < values[c] || v == values[c] && id > c {
			break
		}
		heap[i] = c
		i = child
	}
	heap[i] = id
}
