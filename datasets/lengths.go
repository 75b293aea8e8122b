package datasets

import (
	"unicode"
	"unicode/utf8"
)

// cutText shortens a text to at most n characters by taking away its beginning
// or its end. What belongs to the character before it, an accent say, goes or
// stays with that.
func cutText(text string, n int, left bool) string {
	if left {
		at := len(text)
		for range n {
			_, size := utf8.DecodeLastRuneInString(text[:at])
			at -= size
		}
		for at < len(text) {
			r, size := utf8.DecodeRuneInString(text[at:])
			if !joins(r) {
				break
			}
			at += size
		}
		return text[at:]
	}
	at := 0
	for range n {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	for at > 0 && at < len(text) {
		if r, _ := utf8.DecodeRuneInString(text[at:]); !joins(r) {
			break
		}
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	return text[:at]
}

// joins tells whether a rune changes the one before it.
func joins(r rune) bool {
	return r >= 0x300 && (unicode.In(r, unicode.Mn, unicode.Me) || r == 0x200d || r >= 0x1f3fb && r <= 0x1f3ff)
}

// isLonger tells whether a text has more than n characters; 0 is no limit.
func isLonger(text string, n int) bool {
	return n > 0 && len(text) > n && utf8.RuneCountInString(text) > n
}

// fitLengths applies max_prompt_chars and max_response_chars to an example.
func (o *Options) fitLengths(c *candidate) Reason {
	if isLonger(c.Prompt, o.MaxPromptChars) {
		if !o.cuts() {
			return TooLong
		}
		c.Prompt, c.cutPrompt = cutText(c.Prompt, o.MaxPromptChars, o.TooLong == TruncateLeft), true
	}
	if isLonger(c.Response, o.MaxResponseChars) {
		if !o.cuts() || len(c.Choices) > 0 {
			return LongResponse
		}
		c.Response, c.cutResponse = cutText(c.Response, o.MaxResponseChars, o.TooLong == TruncateLeft), true
	}
	return ""
}
