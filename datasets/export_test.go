package datasets

import (
	"bytes"
	"context"
	"iter"
)

// WriteTokensIn is WriteTokens with files of so many sequences.
func WriteTokensIn(ctx context.Context, dir string, tok Encoder, examples iter.Seq2[Example, error], f Format, rule TokensRule, progress func(int), sequences int) (*TokenCache, error) {
	return writeTokens(ctx, dir, tok, examples, f, rule, progress, shards{Sequences: sequences, Tokens: 1 << 24})
}

// ReadTokensBytes reads every sequence of a cache of one file with this index.
func ReadTokensBytes(index, data []byte) error {
	x, err := readIndex(bytes.NewReader(index), int64(len(index)), []int64{int64(len(data))})
	if err != nil {
		return err
	}
	c := &TokenCache{index: x, indexFile: bytes.NewReader(index)}
	c.add(bytes.NewReader(data), "data", nil)
	var s Sequence
	for i := range c.Len() {
		if err := c.Read(i, &s); err != nil {
			return err
		}
	}
	return nil
}
