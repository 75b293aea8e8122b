package overlap

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/extsort"
)

// Text is what is compared of an example.
type Text struct{ Prompt, Response string }

// hashBytes is a 128-bit hash; of n texts, two different ones share one with a
// probability of n²/2^129.
const hashBytes = 16

// A batch is digested in parallel once it has so many texts or bytes.
const (
	batchTexts = 512
	batchBytes = 1 << 20
)

// Finder takes texts in order and says which repeat earlier ones. The result
// depends on the texts and options only. A text takes 8 bytes a character while
// it is digested. Hashes are not keyed: someone who knows them can make texts
// that pass for equal. Not safe for concurrent use.
type Finder struct {
	o      Options
	dir    string
	bands  bands
	n      int // texts taken, without those that wait
	wait   []Text
	bytes  int             // of wait
	prompt *extsort.Sorter // hash of the prompt, index
	whole  *extsort.Sorter // hash of prompt and response, index
	near   *extsort.Sorter // band records
	file   extsort.Scratch // sketches, 2 bytes a value, by index
	sketch *bufio.Writer   // to file
	failed error
}

// NewFinder makes a Finder with scratch files in dir; "" means the system's
// temporary directory. They take 40 bytes a text, and with near duplicates and
// the default options some 600 more. Close it.
func NewFinder(dir string, o Options) (*Finder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	f := &Finder{o: o, dir: dir, bands: chooseBands(o.Threshold, o.Sketch)}
	var faults [3]error
	f.prompt, faults[0] = extsort.New(dir, hashBytes+4, o.Memory/8)
	f.whole, faults[1] = extsort.New(dir, hashBytes+4, o.Memory/8)
	f.near, faults[2] = extsort.New(dir, bandBytes, o.Memory/2)
	err := errors.Join(faults[:]...)
	if err == nil {
		f.file, err = extsort.NewScratch(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.sketch = bufio.NewWriterSize(f.file, 1<<16)
	return f, nil
}

// Add takes texts; the first of all has index 0. After an error the Finder can
// only be closed.
func (f *Finder) Add(ctx context.Context, texts ...Text) error {
	for _, t := range texts {
		if f.failed != nil {
			return f.failed
		}
		f.wait = append(f.wait, t)
		f.bytes += len(t.Prompt) + len(t.Response)
		if len(f.wait) >= batchTexts || f.bytes >= batchBytes {
			f.failed = f.flush(ctx)
		}
	}
	return f.failed
}

func (f *Finder) flush(ctx context.Context) error {
	digests, err := f.digest(ctx, f.wait)
	if err != nil {
		return err
	}
	for _, d := range digests {
		if f.n == math.MaxUint32 {
			return fmt.Errorf("more than %d texts", f.n)
		}
		if err := f.store(ctx, d, uint32(f.n)); err != nil {
			return fmt.Errorf("text %d: %w", f.n, err)
		}
		f.n++
	}
	clear(f.wait)
	f.wait, f.bytes = f.wait[:0], 0
	return nil
}

func (f *Finder) store(ctx context.Context, d digest, index uint32) error {
	var rec [hashBytes + 4]byte
	binary.BigEndian.PutUint32(rec[hashBytes:], index)
	copy(rec[:], d.prompt[:])
	if err := f.prompt.Add(ctx, rec[:]); err != nil {
		return err
	}
	copy(rec[:], d.whole[:])
	if err := f.whole.Add(ctx, rec[:]); err != nil || f.o.ExactOnly {
		return err
	}
	var stored [2 * 256]byte
	for i, v := range d.sketch {
		binary.BigEndian.PutUint16(stored[2*i:], uint16(v>>16))
	}
	if _, err := f.sketch.Write(stored[:2*f.o.Sketch]); err != nil || d.sketch == nil {
		return err
	}
	var band [bandBytes]byte
	for b := range f.bands.count {
		f.bands.record(&band, d.sketch, b, index)
		if err := f.near.Add(ctx, band[:]); err != nil {
			return err
		}
	}
	return nil
}

// Close removes the scratch files. It may be called twice.
func (f *Finder) Close() error {
	f.failed = errors.New("the finder is closed")
	var err error
	for _, s := range []*extsort.Sorter{f.prompt, f.whole, f.near} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return errors.Join(err, f.file.Close())
}
