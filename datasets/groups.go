package datasets

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// groups finds examples that have a key in common, of any number of examples: it
// keeps them on disk, and looks at a part of the keys at a time. Keys are 64
// bits of SHA-256: of 100 million examples, two that differ are taken for equal
// with a chance of 1 in 3,700.
type groups struct {
	dir, name string
	parts     [groupParts]*spoolFile
}

// groupParts is how many parts the keys are looked at in. 100 million examples
// take 40 MB a part.
const groupParts = 64

// member is an example that a key came from.
type member struct {
	key   uint64
	other uint64 // what else is compared
	rank  int    // of its split: the member of the smallest rank stays
	at    int    // in the split
}

const memberBytes = 8 + 8 + 1 + 7

// add notes a member. Ranks are below 256.
func (g *groups) add(m member) error {
	part := m.key >> 58
	if g.parts[part] == nil {
		f, err := createSpoolFile(filepath.Join(g.dir, fmt.Sprintf("%s-%02d.groups", g.name, part)))
		if err != nil {
			return err
		}
		f.Writer = bufio.NewWriterSize(f.file, 16<<10)
		g.parts[part] = f
	}
	var b [memberBytes]byte
	binary.BigEndian.PutUint64(b[0:], m.key)
	binary.BigEndian.PutUint64(b[8:], m.other)
	binary.BigEndian.PutUint64(b[16:], uint64(m.rank)<<56|uint64(m.at))
	_, err := g.parts[part].Write(b[:])
	return err
}

// each calls f with the members of every key that has several, in the order of
// ranks and places. The order of the keys means nothing.
func (g *groups) each(f func(members []member)) error {
	for _, part := range g.parts {
		if part == nil {
			continue
		}
		list, err := readMembers(part)
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b member) int {
			return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at))
		})
		for start, end := 0, 0; start < len(list); start = end {
			for end = start + 1; end < len(list) && list[end].key == list[start].key; end++ {
			}
			if end-start > 1 {
				f(list[start:end])
			}
		}
	}
	return nil
}

func readMembers(f *spoolFile) ([]member, error) {
	if err := f.Flush(); err != nil {
		return nil, err
	}
	size, err := f.file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	list := make([]member, size/memberBytes)
	in := bufio.NewReaderSize(f.file, 64<<10)
	var b [memberBytes]byte
	for i := range list {
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return nil, noEOF(err)
		}
		place := binary.BigEndian.Uint64(b[16:])
		list[i] = member{binary.BigEndian.Uint64(b[0:]), binary.BigEndian.Uint64(b[8:]), int(place >> 56), int(place & (1<<56 - 1))}
	}
	return list, nil
}

// close removes the files.
func (g *groups) close() error {
	var errs []error
	for _, f := range g.parts {
		if f != nil {
			errs = append(errs, f.Close(), os.Remove(f.file.Name()))
		}
	}
	return errors.Join(errs...)
}
