package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"sync"
)

// TokenCache is an open token cache. In memory are 4 bytes for every sequence;
// sequences are read from the files one by one. It is safe for concurrent use.
type TokenCache struct {
	Info  TokensInfo
	index *tokensIndex
	files []io.ReaderAt
	names []string
	close []io.Closer
	pool  sync.Pool // *[]byte
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
	defer func() { err = errors.Join(err, index.Close()) }()
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
	k := sort.Search(len(c.index.records), func(k int) bool { return c.index.records[k].first > i }) - 1
	r := &c.index.records[k]
	before := int64(0)
	for _, n := range c.index.lengths[r.first:i] {
		before += int64(n)
	}
	if err := c.readAt(r, int64(i-r.first), before, int(c.index.lengths[i]), s); err != nil {
		return fmt.Errorf("read %s: sequence %d: %w", c.names[r.file], i, err)
	}
	return nil
}

// readAt reads row of a record batch, before which there are so many tokens.
func (c *TokenCache) readAt(r *placedRecord, row, before int64, n int, s *Sequence) error {
	buffer, ok := c.pool.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	defer c.pool.Put(buffer)
	if need := 5*n + 16; cap(*buffer) < need {
		*buffer = make([]byte, need)
	}
	b, p := (*buffer)[:5*n+16], placesOf(int64(r.Rows), int64(r.Tokens))
	ids, mask, example, promptLen, weight := b[:4*n], b[4*n:5*n], b[5*n:5*n+8], b[5*n+8:5*n+12], b[5*n+12:]
	for _, part := range []struct {
		at    int64
		bytes []byte
	}{{p.ids + 4*before, ids}, {p.mask + before, mask}, {p.example + 8*row, example}, {p.promptLen + 4*row, promptLen}, {p.weight + 4*row, weight}} {
		if _, err := c.files[r.file].ReadAt(part.bytes, r.At+part.at); err != nil {
			return err
		}
	}
	return s.decode(ids, mask, binary.LittleEndian.Uint64(example), int32(binary.LittleEndian.Uint32(promptLen)), math.Float32frombits(binary.LittleEndian.Uint32(weight)))
}

// decode fills s from a row's bytes, in the slices that it has.
func (s *Sequence) decode(ids, mask []byte, example uint64, promptLen int32, weight float32) error {
	s.Tokens, s.Learned = s.Tokens[:0], s.Learned[:0]
	s.Example, s.PromptLen, s.Weight = int(example), int(promptLen), weight
	for at, learned := range mask {
		id := int32(binary.LittleEndian.Uint32(ids[4*at:]))
		if id < 0 || learned > 1 {
			return fmt.Errorf("token %d: id %d, mask %d", at, id, learned)
		}
		s.Tokens, s.Learned = append(s.Tokens, id), append(s.Learned, learned == 1)
	}
	if example > math.MaxInt32 {
		return fmt.Errorf("example %d: want one that a batch can name", example)
	}
	return s.check()
}
