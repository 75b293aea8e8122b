package distill

// TopKOnDisk is TopK of a file that is too large for memory.
func (a *Answers) TopKOnDisk() (*TopTable, error) { return a.topK(0) }

// Held is how many alternatives stay in memory after rows of answers, which all
// have that many places, were looked up so many times.
func (t *TopTable) Held(times, places int) (n int, err error) {
	var s topScratch
	for range times {
		var rows []lossRow
		for e := range t.Examples() {
			for o := range places {
				rows = append(rows, lossRow{example: e, offset: o})
			}
		}
		if err := t.fill(rows, &s); err != nil {
			return 0, err
		}
	}
	return len(s.ids), nil
}
