package distill

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
)

// TopMemory is the size in bytes up to which TopK holds topk.arrow in memory.
const TopMemory = 64 << 20

// TopK opens the teacher's alternatives: in memory are 8 bytes for every answer, and
// a file of at most TopMemory. The file is first compared with answers.json, and then
// read once from start to end, a record batch at a time: whatever is wrong with it is
// an error that names it. The table is to be closed.
func (a *Answers) TopK() (*TopTable, error) { return a.topK(TopMemory) }

// topK is TopK with that bound.
func (a *Answers) topK(most int64) (*TopTable, error) {
	path := filepath.Join(a.dir, topArrow)
	if a.Info.TopK == 0 {
		return nil, fmt.Errorf("read %s: the answers were collected without the teacher's probabilities (top_k 0)", path)
	}
	if err := checkFile(path, a.top); err != nil {
		return nil, err
	}
	t := &TopTable{k: a.Info.TopK, first: []int64{0}}
	type tokensOnly struct {
		Tokens []int32 `parquet:"tokens,list"`
	}
	for r, err := range datasets.ParquetRows[tokensOnly](filepath.Join(a.dir, answersFile)) {
		if err != nil {
			return nil, err
		}
		t.first = append(t.first, t.first[len(t.first)-1]+int64(len(r.Tokens)))
	}
	f, err := openTop(path, a.Info, a.top.Bytes, most)
	if err != nil {
		return nil, err
	}
	t.file = f
	if err := f.load(t.first[len(t.first)-1], topChecker{k: f.k, vocabulary: a.Vocabulary}); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.close())
	}
	return t, nil
}

// openTop opens the file of that size, or reads it where it has at most so many bytes.
func openTop(path string, info Info, size, most int64) (*topFile, error) {
	f := &topFile{path: path, size: size, k: info.TopK, idBytes: topIDBytes(info.Vocabulary)}
	if size <= most {
		data, err := os.ReadFile(path)
		f.in, f.held = bytes.NewReader(data), size
		return f, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f.in, f.closer = file, file
	return f, nil
}

// load finds the record batches of so many places, and checks all of them.
//
// Nothing in the file is believed but what has been looked at: the batches are as
// topStream writes them, one after the other, and so neither their descriptions nor
// the footer, which can hold any sizes, are read.
func (f *topFile) load(places int64, c topChecker) error {
	at, err := f.checkBeginning()
	if err != nil {
		return err
	}
	var s topScratch
	for left := places; left > 0; {
		b := topBatch{rows: int32(min(left, int64(topRowsPerBatch(f.k))))}
		if b.at, err = f.message(at); err != nil {
			return fmt.Errorf("it ends %d rows too early: %w", left, err)
		}
		if at, err = f.loadBatch(&b, &s, &c); err != nil {
			return fmt.Errorf("token %d of all: %w", places-left, err)
		}
		f.batches = append(f.batches, b)
		left -= int64(b.rows)
	}
	return f.checkEnd(at, places)
}

// loadBatch sets what b holds, checks its rows, and returns where it ends.
func (f *topFile) loadBatch(b *topBatch, s *topScratch, c *topChecker) (end int64, err error) {
	rows := int64(b.rows)
	var last [4]byte
	if err := f.readAt(last[:], b.at+4*rows); err != nil {
		return 0, err
	}
	values := startAt(last[:], 0)
	if values < 0 || values > rows*int64(f.k) {
		return 0, fmt.Errorf("a record batch of %d rows with %d alternatives", rows, values)
	}
	b.values = int32(values)
	p := topPlacesOf(rows, values, f.idBytes)
	starts := make([]byte, 2*(4*rows+4))
	again := starts[4*rows+4:]
	starts = starts[:4*rows+4]
	if err := errors.Join(f.readAt(starts, b.at+p.starts), f.readAt(again, b.at+p.again)); err != nil {
		return 0, err
	}
	if !bytes.Equal(starts, again) {
		return 0, errors.New("a record batch with lists of other lengths of roots than of ids")
	}
	s.reset()
	var wrong error
	err = f.readRows(b, 0, rows, s, func(i int, p Place) {
		if err := c.stored(&p); err != nil && wrong == nil {
			wrong = fmt.Errorf("row %d of its record batch: %w", i, err)
		}
	})
	return b.at + p.size, errors.Join(err, wrong)
}
