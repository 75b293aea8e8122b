package eval

import "sort"

// macroF1 is the unweighted mean of F1 over the classes that occur in truth or predicted,
// item i counted weights[i] times; 0 without items. Classes are 0 to classes−1.
func macroF1(truth, predicted []int, classes int, weights []int32) float64 {
	right, inTruth, inPredicted := make([]int, classes), make([]int, classes), make([]int, classes)
	for i, w := range weights {
		inTruth[truth[i]] += int(w)
		inPredicted[predicted[i]] += int(w)
		if truth[i] == predicted[i] {
			right[truth[i]] += int(w)
		}
	}
	sum, seen := 0.0, 0
	for c := range classes {
		if total := inTruth[c] + inPredicted[c]; total > 0 {
			sum += 2 * float64(right[c]) / float64(total)
			seen++
		}
	}
	if seen == 0 {
		return 0
	}
	return sum / float64(seen)
}

// calibrationEdges are the upper ends of the ten bins (lo, hi]; the first takes 0 too.
var calibrationEdges = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}

// calibrationError is the expected calibration error: over the bins of confidence, the
// mean of |share right − mean confidence|, weighted by the items in the bin. Confidence
// lies in 0 to 1. Item i counts weights[i] times; 0 without items.
func calibrationError(confidence []float64, right []bool, weights []int32) float64 {
	var gap [10]float64 // sum of (right − confidence)
	total := 0
	for i, w := range weights {
		bin := min(sort.SearchFloat64s(calibrationEdges, confidence[i]), len(gap)-1)
		gap[bin] += float64(w) * (indicator(right[i]) - confidence[i])
		total += int(w)
	}
	if total == 0 {
		return 0
	}
	sum := 0.0
	for _, g := range gap {
		sum += max(g, -g)
	}
	return sum / float64(total)
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
