package distill

// TopKOnDisk is TopK of a file that is too large for memory.
func (a *Answers) TopKOnDisk() (*TopTable, error) { return a.topK(0) }
