package cpu

// bounds says what is seen of rows of scores: from[i] ≤ j < to[i] of row i.
type bounds struct{ from, to []int32 }

// softmaxRowsGo is the portable softmaxRows kernel.
func softmaxRowsGo(x []float32, ld, width int, b bounds, stats []float32) {
	for i, from := range b.from {
		row := x[i*ld:][:width]
		seen := clearUnseen(row, from, b.to[i])
		largest := maximumGo(seen)
		stats[2*i], stats[2*i+1] = largest, expGo(seen, seen, largest)
	}
}

// softmaxGradRowsGo is the portable softmaxGradRows kernel.
func softmaxGradRowsGo(p, ds []float32, ld, width int, b bounds, stats []float32, scale float32) {
	for i, from := range b.from {
		seen := clearUnseen(p[i*ld:][:width], from, b.to[i])
		slopes := clearUnseen(ds[i*ld:][:width], from, b.to[i])
		expGo(seen, seen, stats[2*i])
		for j, p := range seen {
			slopes[j] = scale * p * (slopes[j] - stats[2*i+1])
		}
	}
}

// clearUnseen returns the part of a row that is seen, after it has set the rest to 0.
func clearUnseen(row []float32, from, to int32) []float32 {
	clear(row[:from])
	clear(row[to:])
	return row[from:to]
}
