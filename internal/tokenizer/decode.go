package tokenizer

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// fragment is a token on its way back to text.
type fragment struct {
	text  string // may be invalid UTF-8: part of a character
	added bool
}

// decoder turns tokens into text, step by step. It may change its argument. It
// is safe for concurrent use.
type decoder interface {
	// decode returns the next step's fragments. With stream the bytes of
	// incomplete characters are kept, so that later ones can complete them.
	decode(in []fragment, stream bool) []fragment
}

type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(in []fragment, stream bool) []fragment {
	var b strings.Builder
	for _, f := range in {
		b.WriteString(byteLevelPiece(f.text, f.added))
	}
	if stream {
		return []fragment{{text: b.String()}}
	}
	return []fragment{{text: lossy(b.String())}}
}

type replaceDecoder struct{ replace }

func (d replaceDecoder) decode(in []fragment, _ bool) []fragment {
	for i := range in {
		in[i].text = d.pattern.replaceAll(in[i].text, d.by)
	}
	return in
}

// byteFallback turns runs of byte tokens into text. A run that is not valid
// UTF-8 as a whole becomes one U+FFFD per byte.
type byteFallback struct{}

func (byteFallback) decode(in []fragment, stream bool) []fragment {
	out := make([]fragment, 0, len(in))
	var run []byte
	flush := func() {
		if utf8.Valid(run) || stream {
			out = append(out, fragment{text: string(run)})
		} else {
			for range run {
				out = append(out, fragment{text: string(utf8.RuneError)})
			}
		}
		run = run[:0]
	}
	for _, f := range in {
		if b, ok := parseByteToken(f.text); ok {
			run = append(run, b)
			continue
		}
		if len(run) > 0 {
			flush()
		}
		out = append(out, f)
	}
	if len(run) > 0 {
		flush()
	}
	return out
}

// parseByteToken reads "<0xNN>".
func parseByteToken(s string) (byte, bool) {
	if len(s) != 6 || !strings.HasPrefix(s, "<0x") || s[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(s[3:5], 16, 8)
	return byte(b), err == nil
}

type fuse struct{}

func (fuse) decode(in []fragment, _ bool) []fragment {
	var b strings.Builder
	for _, f := range in {
		b.WriteString(f.text)
	}
	return []fragment{{text: b.String()}}
}

// stripDecoder removes up to start and stop copies of a character from the
// ends of each fragment.
type stripDecoder struct {
	content     string // one character
	start, stop int
}

func (d stripDecoder) decode(in []fragment, _ bool) []fragment {
	for i := range in {
		s := in[i].text
		for n := 0; n < d.start && strings.HasPrefix(s, d.content); n++ {
			s = s[len(d.content):]
		}
		for n := 0; n < d.stop && strings.HasSuffix(s, d.content); n++ {
			s = s[:len(s)-len(d.content)]
		}
		in[i].text = s
	}
	return in
}

// metaspaceDecoder writes the replacement as a space, and in the first token as
// nothing unless no space is ever prepended.
type metaspaceDecoder struct{ metaspace }

func (d metaspaceDecoder) decode(in []fragment, _ bool) []fragment {
	for i := range in {
		by := " "
		if i == 0 && d.scheme != prependNever {
			by = ""
		}
		in[i].text = strings.ReplaceAll(in[i].text, d.replacement, by)
	}
	return in
}

type decoders []decoder

func (d decoders) decode(in []fragment, stream bool) []fragment {
	for _, one := range d {
		in = one.decode(in, stream)
	}
	return in
}

// parseDecoder returns nil for null: tokens are joined by spaces.
func parseDecoder(raw json.RawMessage) (decoder, error) {
	if isNull(raw) {
		return nil, nil
	}
	c, err := newComponent("decoder", raw)
	if err != nil {
		return nil, err
	}
	return openDecoder(c)
}

func openDecoder(c component) (decoder, error) {
	switch c.kind {
	case "ByteLevel":
		_, err := openByteLevel(c)
		return byteLevelDecoder{}, err
	case "Metaspace":
		m, err := openMetaspace(c)
		return metaspaceDecoder{m}, err
	case "ByteFallback":
		return byteFallback{}, c.decode(&struct {
			Type string `json:"type"`
		}{})
	case "Fuse":
		return fuse{}, c.decode(&struct {
			Type string `json:"type"`
		}{})
	case "Replace":
		n, err := openNormalizer(c)
		if err != nil {
			return nil, err
		}
		return replaceDecoder{n.(replace)}, nil
	case "Strip":
		return openStripDecoder(c)
	case "WordPiece", "CTC", "BPEDecoder":
		return openWordDecoder(c)
	case "Sequence":
		var f struct {
			Type     string            `json:"type"`
			Decoders []json.RawMessage `json:"decoders"`
		}
		if err := c.decode(&f); err != nil {
			return nil, err
		}
		children, err := c.children("decoders", f.Decoders)
		if err != nil {
			return nil, err
		}
		all := decoders{}
		for _, child := range children {
			one, err := openDecoder(child)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
		return all, nil
	}
	return nil, c.unknown()
}

func openStripDecoder(c component) (decoder, error) {
	var f struct {
		Type    string `json:"type"`
		Content string `json:"content"`
		Start   int    `json:"start"`
		Stop    int    `json:"stop"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	if _, err := c.oneRune("content", f.Content); err != nil {
		return nil, err
	}
	if f.Start < 0 || f.Stop < 0 {
		return nil, c.errorf("start %d, stop %d: want counts", f.Start, f.Stop)
	}
	return stripDecoder{f.Content, f.Start, f.Stop}, nil
}
