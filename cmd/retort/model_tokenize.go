package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/retort-ml/retort/internal/checkpoint"
	"github.com/retort-ml/retort/internal/tokenizer"

	"github.com/urfave/cli/v2"
)

func modelTokenizeCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "tokenize",
		Usage:     "turn text into token ids, or ids into text",
		ArgsUsage: "PATH",
		Description: "PATH may be a tokenizer.json, too. The text is taken exactly as it is, with its newline at the end. Prints a\n" +
			"line for each token: id, first byte of the text and the one after the last, piece in quotes. With --decode\n" +
			"reads ids, separated by spaces, commas or lines, and prints their text and nothing else.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "decode", Usage: "turn ids into text"},
			&cli.BoolFlag{Name: "no-special", Usage: "add no special tokens; with --decode, leave them out"},
			&cli.StringFlag{Name: "file", Usage: "read `FILE` instead of the standard input"},
			jsonFlag()},
		Action: func(c *cli.Context) error { return modelTokenize(c, s) },
	}
}

// maxText is how much text is taken at once, in bytes.
const maxText = 1 << 30

func modelTokenize(c *cli.Context, s streams) error {
	path, err := modelPath(c)
	if err != nil {
		return err
	}
	t, err := checkpoint.Tokenizer(path)
	if err != nil {
		return err
	}
	text, source, err := input(c)
	if err != nil {
		return err
	}
	if c.Bool("decode") {
		return detokenize(c, s, t, text, source)
	}
	if at := invalidUTF8(text); at >= 0 {
		fmt.Fprintf(s.err, "note: %s: byte %d is not UTF-8: it is read as U+FFFD, as every such byte is\n", source, at)
	}
	tokens := pieces(t, text, !c.Bool("no-special"))
	if c.Bool("json") {
		ids := make([]int32, len(tokens))
		for i, p := range tokens {
			ids[i] = p.ID
		}
		return printJSON(s, map[string]any{"ids": ids, "tokens": tokens})
	}
	w := bufio.NewWriter(s.out)
	for _, p := range tokens {
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\n", p.ID, p.Start, p.End, strconv.Quote(p.Piece))
	}
	return w.Flush()
}

// invalidUTF8 is the first byte of text that is not UTF-8, -1 for none.
func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return -1
}

// piece is a token of a text.
type piece struct {
	ID    int32  `json:"id"`
	Piece string `json:"piece"` // as the vocabulary has it
	Start int    `json:"start"` // bytes of the text
	End   int    `json:"end"`
}

// input is what the command reads, and where it is from.
func input(c *cli.Context) (text, source string, err error) {
	var r io.Reader = os.Stdin
	source = "standard input"
	if name := c.String("file"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return "", "", err
		}
		defer f.Close()
		r, source = f, name
	}
	data, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(data) > maxText {
		err = fmt.Errorf("more than %d bytes", maxText)
	}
	if err != nil {
		return "", "", fmt.Errorf("read %s: %w", source, err)
	}
	return string(data), source, nil
}

func detokenize(c *cli.Context, s streams, t *tokenizer.Tokenizer, list, source string) error {
	ids, err := parseIDs(t, list)
	if err != nil {
		return fmt.Errorf("read %s: %w", source, err)
	}
	text := t.Decode(ids, c.Bool("no-special"))
	if c.Bool("json") {
		return printJSON(s, map[string]string{"text": text})
	}
	_, err = io.WriteString(s.out, text)
	return err
}

// parseIDs reads ids of the vocabulary: numbers with anything of ",[] \t\r\n"
// between, or the "ids" of what --json printed.
func parseIDs(t *tokenizer.Tokenizer, list string) ([]int32, error) {
	if strings.HasPrefix(strings.TrimSpace(list), "{") {
		var printed struct {
			IDs []int32 `json:"ids"`
		}
		if err := json.Unmarshal([]byte(list), &printed); err != nil {
			return nil, err
		}
		if printed.IDs == nil {
			return nil, errors.New("the object has no ids")
		}
		return printed.IDs, checkIDs(t, printed.IDs)
	}
	var ids []int32
	for i, word := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(",[] \t\r\n", r) }) {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("id %d: %q is no number", i+1, word[:min(len(word), 40)])
		}
		ids = append(ids, int32(id))
	}
	return ids, checkIDs(t, ids)
}

// checkIDs refuses ids that no token has: Decode would leave them out.
func checkIDs(t *tokenizer.Tokenizer, ids []int32) error {
	for i, id := range ids {
		if _, ok := t.Token(id); !ok {
			return fmt.Errorf("id %d: the vocabulary has no token %d", i+1, id)
		}
	}
	return nil
}
