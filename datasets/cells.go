package datasets

import "unicode/utf8"

// cell is one value of a row as text.
type cell struct {
	text   string
	state  cellState
	number bool // it is a number where it was read, not a text
}

type cellState uint8

const (
	cellText        cellState = iota
	cellJSON                  // a list or a struct: text is its JSON
	cellNull                  // null
	cellMissing               // the row has no such column
	cellWrongType             // a value with no text form
	cellInvalidUTF8           // text that is not UTF-8
	cellRagged                // the row has more or fewer values than there are columns
)

func textCell(text string) cell {
	if !utf8.ValidString(text) {
		return cell{state: cellInvalidUTF8}
	}
	return cell{text: text}
}

// present tells whether there is any value.
func (c cell) present() bool { return c.state != cellNull && c.state != cellMissing }

// scalar is the cell's text, or why it has none.
func (c cell) scalar(null Reason) (string, Reason) {
	switch c.state {
	case cellText:
		return c.text, ""
	case cellMissing:
		return "", MissingColumn
	case cellNull:
		return "", null
	case cellInvalidUTF8:
		return "", InvalidUTF8
	case cellRagged:
		return "", RaggedRow
	}
	return "", WrongType
}
