package redact

// A shape is a form of numbers: d is a digit, a a letter, x either, ? at most one
// space, dash, dot or slash, and everything else itself.

const maxShape = 24

// match reads the shape at i. It returns the digits and letters, these in
// capitals, and the end; or 0.
func match(text string, i int, shape string) (compact string, end int) {
	var out [maxShape]byte
	n := 0
	for k := range len(shape) {
		want := shape[k]
		if i == len(text) {
			return "", 0
		}
		c := text[i]
		switch want {
		case '?':
			if c == ' ' || c == '-' || c == '.' || c == '/' {
				i++
			}
			continue
		case 'd':
			if !isDigit(c) {
				return "", 0
			}
		case 'a', 'x':
			if !isAlnum(c) || want == 'a' && isDigit(c) {
				return "", 0
			}
			if c >= 'a' {
				c -= 'a' - 'A'
			}
		default:
			if c != want {
				return "", 0
			}
			i++
			continue
		}
		out[n] = c
		n++
		i++
	}
	return string(out[:n]), i
}
