package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// part is part-00000.json: a file of sequences that is whole, and how the work
// stood after it. Its sequences in the index are beside it.
type part struct {
	Rule    string        `json:"rule"`   // TokensRule.hash
	Counts  EncodeCounts  `json:"counts"` // of all parts up to this one
	File    TokensFile    `json:"file"`
	Index   FileSum       `json:"index"`
	Records []recordPlace `json:"records"`
}

// tokensWriter makes a token cache in a directory, part by part.
type tokensWriter struct {
	dir      string
	rule     TokensRule
	shards   shards
	parts    []part
	counts   EncodeCounts
	progress func(examples int)

	// The part being written.
	file   *atomicfile.File
	sum    *summed
	stream *tokensStream
	index  []byte
}

// WriteTokens encodes examples into a token cache in dir, which it makes and in
// which nothing else may be, and opens it. A file at a time is kept when it is whole: called again with the
// same rule and examples after an error or a kill, it goes on after the last,
// and the bytes are the same as if nothing had happened. What is there of
// another rule is removed. rule says where the examples are from and what the
// tokenizer is; the rest of it comes from f. progress may be nil.
func WriteTokens(ctx context.Context, dir string, tok Encoder, examples iter.Seq2[Example, error], f Format, rule TokensRule, progress func(examples int)) (*TokenCache, error) {
	return writeTokens(ctx, dir, tok, examples, f, rule, progress, defaultShards())
}

func writeTokens(ctx context.Context, dir string, tok Encoder, examples iter.Seq2[Example, error], f Format, rule TokensRule, progress func(examples int), limit shards) (*TokenCache, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	w := &tokensWriter{dir: dir, rule: rule.with(f), progress: progress, shards: limit}
	if info, err := readTokensInfo(filepath.Join(dir, tokensFile)); err == nil && info.TokensRule == w.rule {
		if c, err := OpenTokens(dir); err == nil {
			return c, nil
		}
	}
	if err := w.resume(); err != nil {
		return nil, err
	}
	err := eachInOrder(ctx, examples, w.counts.Examples, f.encoder(tok), func(e *Encoded) error { return w.add(e, f) })
	if err == nil {
		err = w.counts.unlearned(f)
	}
	if err == nil {
		err = w.endPart()
	}
	if w.file != nil {
		err = errors.Join(err, w.file.Abort())
	}
	if err == nil && w.counts.Sequences == 0 {
		err = fmt.Errorf("tokens of %d examples: %w", w.counts.Examples, ErrNoTokens)
	}
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	return OpenTokens(dir)
}

func (w *tokensWriter) add(e *Encoded, f Format) error {
	if err := w.counts.add(e, f); err != nil {
		return err
	}
	if e.Lost == nil {
		if err := w.put(&e.Sequence); err != nil {
			return err
		}
	}
	if w.progress != nil && w.counts.Examples%chunkExamples == 0 {
		w.progress(w.counts.Examples)
	}
	return nil
}

func (w *tokensWriter) put(s *Sequence) error {
	if w.stream == nil {
		file, err := atomicfile.Create(w.path("part-%05d.arrow"))
		if err != nil {
			return err
		}
		w.file, w.sum = file, &summed{w: file, hash: sha256.New()}
		w.stream = newTokensStream(w.sum)
		w.index = w.index[:0]
	}
	w.index = appendSequence(w.index, s)
	if err := w.stream.add(s); err != nil {
		return err
	}
	if w.sequences() >= w.shards.Sequences || w.stream.tokens >= int64(w.shards.Tokens) {
		return w.endPart()
	}
	return nil
}

func (w *tokensWriter) sequences() int { return len(w.index) / indexSequenceBytes }

func (w *tokensWriter) path(pattern string) string {
	return filepath.Join(w.dir, fmt.Sprintf(pattern, len(w.parts)))
}

// endPart makes the part whole; its description is written last.
func (w *tokensWriter) endPart() error {
	if w.stream == nil {
		return nil
	}
	if err := w.stream.close(); err != nil {
		return err
	}
	file := w.file
	w.file = nil
	if err := file.Commit(); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(w.path("part-%05d.idx"), w.index); err != nil {
		return err
	}
	p := part{Rule: w.rule.hash(w.shards), Counts: w.counts, Records: w.stream.records,
		File:  TokensFile{FileSum: w.sum.of(filepath.Base(w.path("part-%05d.arrow"))), Sequences: w.sequences(), Tokens: w.stream.tokens},
		Index: sumOf(filepath.Base(w.path("part-%05d.idx")), w.index)}
	if err := writeJSON(w.path("part-%05d.json"), p); err != nil {
		return err
	}
	w.parts, w.stream = append(w.parts, p), nil
	return nil
}

// resume takes up the parts that are whole, and removes all else.
func (w *tokensWriter) resume() error {
	if err := os.MkdirAll(w.dir, 0o777); err != nil {
		return err
	}
	keep := map[string]bool{}
	for {
		p, ok := w.whole()
		if !ok {
			break
		}
		for _, pattern := range []string{"part-%05d.arrow", "part-%05d.idx", "part-%05d.json"} {
			keep[filepath.Base(w.path(pattern))] = true
		}
		w.parts, w.counts = append(w.parts, p), p.Counts
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			if err := os.RemoveAll(filepath.Join(w.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole is the next part, if it is there and sound. finish may have given its
// file the last name already.
func (w *tokensWriter) whole() (p part, ok bool) {
	data, err := os.ReadFile(w.path("part-%05d.json"))
	if err != nil || json.Unmarshal(data, &p) != nil || p.Rule != w.rule.hash(w.shards) {
		return p, false
	}
	if named, _ := filepath.Glob(w.path("data-%05d-of-*.arrow")); len(named) == 1 {
		if err := os.Rename(named[0], w.path("part-%05d.arrow")); err != nil {
			return p, false
		}
	}
	for _, sum := range []FileSum{p.File.FileSum, p.Index} {
		f, err := openSummed(w.dir, sum)
		if err != nil || f.Close() != nil {
			return p, false
		}
	}
	return p, true
}

// finish gives the files their names and describes them; tokens.json comes last.
func (w *tokensWriter) finish() error {
	info := TokensInfo{Format: tokensFormat, TokensRule: w.rule, Counts: w.counts}
	lengths := &LengthCounts{}
	index := &summed{hash: sha256.New()}
	err := atomicfile.Write(filepath.Join(w.dir, indexFile), func(out io.Writer) error {
		index.w = out
		if err := writeIndexHead(index, w.counts.Sequences, w.parts); err != nil {
			return err
		}
		for _, p := range w.parts {
			if err := w.copyIndex(index, p, &info, lengths); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	info.Index, info.Statistics = index.of(indexFile), lengths.Statistics()
	for i, p := range w.parts {
		name := fmt.Sprintf("data-%05d-of-%05d.arrow", i, len(w.parts))
		if err := os.Rename(filepath.Join(w.dir, p.File.File), filepath.Join(w.dir, name)); err != nil {
			return err
		}
		p.File.File = name
		info.Files = append(info.Files, p.File)
	}
	err = errors.Join(writeJSON(filepath.Join(w.dir, stateFile), state(&info)), writeJSON(filepath.Join(w.dir, datasetInfoFile), datasetInfo(&info)))
	if err == nil {
		err = writeJSON(filepath.Join(w.dir, tokensFile), info)
	}
	for i, p := range w.parts {
		err = errors.Join(err, os.Remove(filepath.Join(w.dir, p.Index.File)), os.Remove(filepath.Join(w.dir, fmt.Sprintf("part-%05d.json", i))))
	}
	return err
}

// copyIndex appends the sequences of a part to index.bin, and counts them.
func (w *tokensWriter) copyIndex(out io.Writer, p part, info *TokensInfo, lengths *LengthCounts) error {
	data, err := os.ReadFile(filepath.Join(w.dir, p.Index.File))
	if err != nil {
		return err
	}
	for at := 0; at+indexSequenceBytes <= len(data); at += indexSequenceBytes {
		s := sequenceOf(data[at:])
		info.Tokens += int64(s.tokens)
		info.Learned += int64(s.learned)
		lengths.Add(int(s.tokens), int(s.prompt), int(s.learned))
	}
	_, err = out.Write(data)
	return err
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, append(data, '\n'))
}

// summed counts and sums what it writes.
type summed struct {
	w    io.Writer
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
	bytes int64
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.bytes += int64(n)
	s.hash.Write(p[:n])
	return n, err
}

func (s *summed) of(name string) FileSum {
	return FileSum{File: name, Bytes: s.bytes, SHA256: hex.EncodeToString(s.hash.Sum(nil))}
}

func sumOf(name string, data []byte) FileSum {
	sum := sha256.Sum256(data)
	return FileSum{File: name, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
}
