package model

// KeyCols is the width of a row's keys, and of its values.
func (m *Model) KeyCols() int { return m.Config.NumKeyValueHeads * m.Config.HeadDim }
