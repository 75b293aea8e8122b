package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Stream decodes ids one by one and never returns part of a character. The
// pieces together are what Decode returns for all ids, but for one case: where a
// run of byte tokens (<0xNN>) is not valid UTF-8, Decode gives one U+FFFD for
// every byte of the run and Stream has already returned its valid characters.
//
// A Stream is for one goroutine.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	// The text of the first token may depend on its being first. anchor holds the
	// ids up to the first that gave text; what an id adds after them it adds anywhere.
	anchor     []int32
	anchorText string
	held       string  // bytes of a character that is not complete
	all        []int32 // of a decoder that needs all ids at once
}

// NewStream begins a text. Special tokens are left out if skipSpecial.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	return &Stream{t: t, skipSpecial: skipSpecial}
}

// Next takes the next id and returns the text that is now complete, often "".
func (s *Stream) Next(id int32) string {
	if _, ok := s.t.vocab.token(id); !ok || s.skipSpecial && s.t.IsSpecial(id) {
		return ""
	}
	if s.t.decoder != nil && needsWhole(s.t.decoder) {
		s.all = append(s.all, id)
		return ""
	}
	with := append(s.anchor[:len(s.anchor):len(s.anchor)], id)
	text := s.t.decode(with, s.skipSpecial, true)
	s.held += strings.TrimPrefix(text, s.anchorText)
	if s.anchorText == "" {
		s.anchor, s.anchorText = with, text
	}
	ready := len(s.held) - incompleteTail(s.held)
	out := s.render(s.held[:ready])
	s.held = s.held[ready:]
	return out
}

// Flush returns what was held back and ends the text: an incomplete character
// becomes U+FFFD. The Stream can then begin another text.
func (s *Stream) Flush() string {
	out := s.render(s.held)
	if s.all != nil {
		out = s.t.Decode(s.all, s.skipSpecial)
	}
	*s = Stream{t: s.t, skipSpecial: s.skipSpecial}
	return out
}

// render replaces bytes that are no characters as the decoder does: one U+FFFD
// per byte of a byte token, else one per invalid part.
func (s *Stream) render(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	if !decodesByteTokens(s.t.decoder) {
		return lossy(text)
	}
	var b strings.Builder
	for _, r := range text {
		b.WriteRune(r)
	}
	return b.String()
}

func decodesByteTokens(d decoder) bool {
	switch d := d.(type) {
	case byteFallback:
		return true
	case decoders:
		for _, one := range d {
			if decodesByteTokens(one) {
				return true
			}
		}
	}
	return false
}

// needsWhole reports whether the text of a token may depend on those after it:
// the end is stripped, or tokens are joined and then searched for something
// longer than a character.
func needsWhole(d decoder) bool {
	steps, ok := d.(decoders)
	if !ok {
		steps = decoders{d}
	}
	joined := false
	for _, step := range steps {
		switch step := step.(type) {
		case fuse, byteLevelDecoder:
			joined = true
		case decoders:
			if joined || needsWhole(step) {
				return true
			}
			joined = true
		case stripDecoder:
			if step.stop > 0 {
				return true
			}
		case ctcDecoder, bpeDecoder:
			return true
		case wordPieceDecoder:
			if joined && step.cleanup {
				return true
			}
		case replaceDecoder:
			if joined && utf8.RuneCountInString(step.pattern.literal) != 1 {
				return true
			}
		}
	}
	return false
}
