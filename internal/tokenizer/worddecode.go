package tokenizer

import "strings"

// wordPieceDecoder joins pieces that carry the prefix to the word before and
// writes a space before all others.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) decode(in []fragment, _ bool) []fragment {
	for i := range in {
		if i > 0 {
			rest, ok := strings.CutPrefix(in[i].text, d.prefix)
			if !ok {
				rest = " " + rest
			}
			in[i].text = rest
		}
		if d.cleanup {
			in[i].text = cleanUp(in[i].text)
		}
	}
	return in
}

// cleanUp takes out spaces that English does not have, step by step in the order
// of the tokenizers library, within one token.
func cleanUp(s string) string {
	if !strings.Contains(s, " ") {
		return s
	}
	for _, step := range [][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, step[0], step[1])
	}
	return s
}

// ctcDecoder reads the output of a model with connectionist temporal
// classification: a token that follows itself counts once, pads are nothing.
type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (d ctcDecoder) decode(in []fragment, _ bool) []fragment {
	out := make([]fragment, 0, len(in))
	for i, f := range in {
		if i > 0 && f.text == in[i-1].text {
			continue
		}
		f.text = strings.ReplaceAll(f.text, d.pad, "")
		if d.cleanup {
			f.text = strings.ReplaceAll(cleanUp(f.text), d.delimiter, " ")
		}
		if f.text != "" {
			out = append(out, f)
		}
	}
	return out
}

// bpeDecoder writes the mark of a word's end as a space, and in the last token
// as nothing.
type bpeDecoder struct{ suffix string }

func (d bpeDecoder) decode(in []fragment, _ bool) []fragment {
	for i := range in {
		by := " "
		if i == len(in)-1 {
			by = ""
		}
		in[i].text = strings.ReplaceAll(in[i].text, d.suffix, by)
	}
	return in
}

// openWordDecoder reads WordPiece, CTC and BPEDecoder.
func openWordDecoder(c component) (decoder, error) {
	f := struct {
		Type          string `json:"type"`
		Prefix        string `json:"prefix"`
		Cleanup       bool   `json:"cleanup"`
		PadToken      string `json:"pad_token"`
		WordDelimiter string `json:"word_delimiter_token"`
		Suffix        string `json:"suffix"`
	}{Prefix: "##", Cleanup: true, PadToken: "<pad>", WordDelimiter: "|", Suffix: "</w>"}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	switch c.kind {
	case "WordPiece":
		return wordPieceDecoder{f.Prefix, f.Cleanup}, nil
	case "CTC":
		return ctcDecoder{f.PadToken, f.WordDelimiter, f.Cleanup}, nil
	}
	return bpeDecoder{f.Suffix}, nil
}
