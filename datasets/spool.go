package datasets

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// spool keeps the usable examples of one split on disk, in order, while it is
// not yet known which of them stay. Beside the texts lies a file of keys, of a
// fixed size an example, for decisions that need to see all.
type spool struct {
	split string
	n     int // examples

	texts, keys *spoolFile
	buf         []byte
	withKeys    bool
}

// keys is what decisions compare of an example.
type keys struct {
	order    uint64 // hash of the prompt: a random order that follows from the texts
	response uint64 // hash of the response
	source   uint16 // index of the mixed source
}

const keyBytes = 8 + 8 + 2

type spoolFile struct {
	*bufio.Writer
	file *os.File
}

func createSpoolFile(path string) (*spoolFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &spoolFile{bufio.NewWriterSize(file, 256<<10), file}, nil
}

func (f *spoolFile) Close() error { return f.file.Close() }

func newSpool(dir, split string, withKeys bool) (*spool, error) {
	s := &spool{split: split, withKeys: withKeys}
	var err error
	if s.texts, err = createSpoolFile(filepath.Join(dir, split+".texts")); err != nil {
		return nil, err
	}
	if s.keys, err = createSpoolFile(filepath.Join(dir, split+".keys")); err != nil {
		return nil, errors.Join(err, s.texts.Close())
	}
	return s, nil
}

func (s *spool) close() error { return errors.Join(s.texts.Close(), s.keys.Close()) }

// spooled is an example as the spool keeps it: the file by its index, and the
// place among all rows read.
type spooled struct {
	Example
	file int
	seq  int
	line int
	at   int64 // where it begins in the spool, once it is read
}

// add appends an example.
func (s *spool) add(e *spooled, k keys) error {
	b := s.buf[:0]
	for _, text := range e.texts() {
		b = binary.AppendUvarint(b, uint64(len(*text)))
		b = append(b, *text...)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Choices)))
	for _, choice := range e.Choices {
		b = binary.AppendUvarint(b, uint64(len(choice)))
		b = append(b, choice...)
	}
	for _, n := range []int{e.Row, e.file, e.seq, e.line} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	s.buf = b
	var head [binary.MaxVarintLen64]byte
	if _, err := s.texts.Write(binary.AppendUvarint(head[:0], uint64(len(b)))); err != nil {
		return err
	}
	if _, err := s.texts.Write(b); err != nil {
		return err
	}
	s.n++
	if !s.withKeys {
		return nil
	}
	var key [keyBytes]byte
	binary.LittleEndian.PutUint64(key[0:], k.order)
	binary.LittleEndian.PutUint64(key[8:], k.response)
	binary.LittleEndian.PutUint16(key[16:], k.source)
	_, err := s.keys.Write(key[:])
	return err
}

// texts are the fields that are texts of any length.
func (e *spooled) texts() [9]*string {
	return [...]*string{&e.ID, &e.Prompt, &e.Response, &e.Messages, &e.Turn, &e.Tools, &e.Rejected, &e.Reference, &e.Group}
}

func (s *spool) flush() error { return errors.Join(s.texts.Flush(), s.keys.Flush()) }

// read calls f with each example in order.
func (s *spool) read(f func(i int, e *spooled) error) error {
	if _, err := s.texts.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(s.texts.file, 256<<10)
	var buf []byte
	at := int64(0)
	for i := range s.n {
		e := spooled{at: at}
		size, err := e.read(in, &buf)
		if err == nil {
			at += size
			err = f(i, &e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readAt reads the example that begins there.
func (s *spool) readAt(at int64) (*spooled, error) {
	var buf []byte
	e := &spooled{at: at}
	_, err := e.read(bufio.NewReaderSize(io.NewSectionReader(s.texts.file, at, 1<<62), 4<<10), &buf)
	return e, err
}

// read reads an example and returns the bytes that it takes. The buffer may
// grow and can be used again.
func (e *spooled) read(in *bufio.Reader, buf *[]byte) (int64, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return 0, noEOF(err)
	}
	if uint64(cap(*buf)) < n {
		*buf = make([]byte, n+n/4)
	}
	*buf = (*buf)[:n]
	if _, err := io.ReadFull(in, *buf); err != nil {
		return 0, noEOF(err)
	}
	var head [binary.MaxVarintLen64]byte
	return int64(n) + int64(binary.PutUvarint(head[:], n)), e.decode(string(*buf))
}

var errSpool = errors.New("the file was changed meanwhile")

// decode reads what add wrote.
func (e *spooled) decode(record string) error {
	next := func() (int, bool) {
		n, shift := 0, 0
		for i := 0; i < len(record) && i < binary.MaxVarintLen64; i++ {
			c := record[i]
			n |= int(c&0x7f) << shift
			if shift += 7; c < 0x80 {
				record = record[i+1:]
				return n, n >= 0
			}
		}
		return 0, false
	}
	text := func(to *string) bool {
		n, ok := next()
		if !ok || n > len(record) {
			return false
		}
		*to, record = record[:n], record[n:]
		return true
	}
	for _, to := range e.texts() {
		if !text(to) {
			return errSpool
		}
	}
	choices, ok := next()
	if !ok || choices > len(record) {
		return errSpool
	}
	if choices > 0 {
		e.Choices = make([]string, choices)
	}
	for i := range e.Choices {
		if !text(&e.Choices[i]) {
			return errSpool
		}
	}
	for _, to := range []*int{&e.Row, &e.file, &e.seq, &e.line} {
		if *to, ok = next(); !ok {
			return errSpool
		}
	}
	return nil
}

// readKeys calls f with the keys of each example in order.
func (s *spool) readKeys(f func(i int, k keys)) error {
	if _, err := s.keys.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(s.keys.file, 256<<10)
	var b [keyBytes]byte
	for i := range s.n {
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return noEOF(err)
		}
		f(i, keys{binary.LittleEndian.Uint64(b[0:]), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint16(b[16:])})
	}
	return nil
}
