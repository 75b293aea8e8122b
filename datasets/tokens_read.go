package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
)

// TokenCache is an open token cache. In memory are 4 bytes for every sequence;
// sequences are read from the files one by one. It is safe for concurrent use.
type TokenCache struct {
	Info      TokensInfo
	index     *tokensIndex
	files     []io.ReaderAt
	indexFile io.ReaderAt
	names     []string
	close     []io.Closer
	pool      sync.Pool // *[]byte
}

// OpenTokens opens a token cache that WriteTokens wrote. Every file is read once
// and compared with the sums in tokens.json; whatever is wrong is an error that
// names the file.
func OpenTokens(dir string) (_ *TokenCache, err error) {
	c := &TokenCache{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.Info, err = readTokensInfo(filepath.Join(dir, tokensFile)); err != nil {
		return nil, err
	}
	var sizes []int64
	for _, file := range c.Info.Files {
		f, err := openSummed(dir, file.FileSum)
		if err != nil {
			return nil, err
		}
		c.add(f, f.Name(), f)
		sizes = append(sizes, file.Bytes)
	}
	index, err := openSummed(dir, c.Info.Index)
	if err != nil {
		return nil, err
	}
	c.indexFile, c.close = index, append(c.close, index)
	if c.index, err = readIndex(index, c.Info.Index.Bytes, sizes); err != nil {
		return nil, fmt.Errorf("read %s: %w", index.Name(), err)
	}
	if c.index.tokens != c.Info.Tokens || c.index.learned != c.Info.Learned || len(c.index.lengths) != c.Info.Counts.Sequences {
		return nil, fmt.Errorf("read %s: it is not of the sequences that %s has", index.Name(), tokensFile)
	}
	return c, nil
}

func (c *TokenCache) add(r io.ReaderAt, name string, close io.Closer) {
	c.files, c.names, c.close = append(c.files, r), append(c.names, name), append(c.close, close)
}

// Close closes the files.
func (c *TokenCache) Close() error {
	var errs []error
	for _, f := range c.close {
		errs = append(errs, f.Close())
	}
	c.close = nil
	return errors.Join(errs...)
}

// maxTokensInfoBytes bounds tokens.json: it has 200 bytes for a file of tokens.
const maxTokensInfoBytes = 64 << 20

func readTokensInfo(path string) (info TokensInfo, err error) {
	stat, err := os.Stat(path)
	if err != nil {
		return info, fmt.Errorf("open tokens: %w", err)
	}
	if stat.Size() > maxTokensInfoBytes {
		return info, fmt.Errorf("read %s: %d bytes are too many", path, stat.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return info, fmt.Errorf("open tokens: %w", err)
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return info, fmt.Errorf("read %s: %w", path, err)
	}
	if info.Format != tokensFormat {
		return info, fmt.Errorf("read %s: format %d, want %d", path, info.Format, tokensFormat)
	}
	return info, nil
}

// openSummed opens a file of dir whose size and sum are as they should be.
func openSummed(dir string, want FileSum) (_ *os.File, err error) {
	if want.File == "" || filepath.Base(want.File) != want.File {
		return nil, fmt.Errorf("read %s: %q names no file beside it", filepath.Join(dir, tokensFile), want.File)
	}
	f, err := os.Open(filepath.Join(dir, want.File))
	if err != nil {
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	info, err := f.Stat()
	if err == nil && (info.Size() != want.Bytes || !info.Mode().IsRegular()) {
		err = fmt.Errorf("it has %d bytes, not %d", info.Size(), want.Bytes)
	}
	h := sha256.New()
	if err == nil {
		_, err = io.Copy(h, f)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); err == nil && sum != want.SHA256 {
		err = fmt.Errorf("its SHA-256 is %s, not %s: it is damaged", sum, want.SHA256)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// Len is the number of sequences.
func (c *TokenCache) Len() int { return len(c.index.lengths) }

// Size is the tokens of sequence i.
func (c *TokenCache) Size(i int) int { return int(c.index.lengths[i]) }

// Totals counts the tokens of all sequences, and those that are learned.
func (c *TokenCache) Totals() (tokens, learned int64) { return c.index.tokens, c.index.learned }

// Bytes is the memory that the cache takes.
func (c *TokenCache) Bytes() int64 {
	return 4*int64(len(c.index.lengths)) + 48*int64(len(c.index.records))
}

// Read fills s with sequence i.
func (c *TokenCache) Read(i int, s *Sequence) error {
	var b [indexSequenceBytes]byte
	if _, err := c.indexFile.ReadAt(b[:], c.index.at+int64(i)*indexSequenceBytes); err != nil {
		return fmt.Errorf("read %s: sequence %d: %w", indexFile, i, err)
	}
	have := sequenceOf(b[:])
	k := sort.Search(len(c.index.records), func(k int) bool { return c.index.records[k].first > i }) - 1
	r := &c.index.records[k]
	before := int64(0)
	for _, n := range c.index.lengths[r.first:i] {
		before += int64(n)
	}
	err := have.check()
	if err == nil && have.tokens != c.index.lengths[i] {
		err = errors.New("the index has changed")
	}
	if err == nil {
		err = c.readTokens(r, before, have, s)
	}
	if err != nil {
		return fmt.Errorf("read %s: sequence %d: %w", c.names[r.file], i, err)
	}
	return nil
}

// readTokens reads a sequence of a record batch, before which there are so many
// tokens, into the slices that s has.
func (c *TokenCache) readTokens(r *placedRecord, before int64, have indexedSequence, s *Sequence) error {
	n := int64(have.tokens)
	buffer, ok := c.pool.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	defer c.pool.Put(buffer)
	*buffer = slices.Grow((*buffer)[:0], int(5*n))[:5*n]
	ids, mask, places := (*buffer)[:4*n], (*buffer)[4*n:], placesOf(int64(r.Rows), int64(r.Tokens))
	if _, err := c.files[r.file].ReadAt(ids, r.At+places.ids+4*before); err != nil {
		return err
	}
	*s = Sequence{Tokens: slices.Grow(s.Tokens[:0], int(n))[:n], PromptLen: int(have.prompt), Example: int(have.example), Weight: have.weight}
	for at := range s.Tokens {
		if s.Tokens[at] = int32(binary.LittleEndian.Uint32(ids[4*at:])); s.Tokens[at] < 0 {
			return fmt.Errorf("token %d: id %d", at, s.Tokens[at])
		}
	}
	if have.plain == 1 {
		return nil
	}
	if _, err := c.files[r.file].ReadAt(mask, r.At+places.mask+before); err != nil {
		return err
	}
	s.Learned = make([]bool, n)
	for at, learned := range mask {
		if learned > 1 {
			return fmt.Errorf("token %d: mask %d", at, learned)
		}
		s.Learned[at] = learned == 1
	}
	return nil
}
