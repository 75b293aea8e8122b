package main

import "github.com/retort-ml/retort/internal/tokenizer"

// pieces are the tokens of a text with where they come from.
func pieces(t *tokenizer.Tokenizer, text string, special bool) []piece {
	list := []piece{}
	for _, p := range t.EncodeTokens(text, special) {
		list = append(list, piece{p.ID, p.Piece, p.Start, p.End})
	}
	return list
}
