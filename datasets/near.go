package datasets

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/overlap"
)

// comparable is what is compared of an example: its texts without what all
// prompts of its source have in common.
func (m *maker) comparable(e *spooled) overlap.Text {
	mapper := m.mappers[m.files[e.file].source]
	prompt := e.Prompt
	if e.Messages != "" && (strings.HasPrefix(prompt, "system: ") || strings.HasPrefix(prompt, "developer: ")) {
		if _, rest, ok := strings.Cut(prompt, "\n\nuser: "); ok {
			prompt = "user: " + rest
		}
	}
	fold := func(text string) string { return text }
	if mapper.in.Lowercase {
		fold = strings.ToLower
	}
	return overlap.Text{Prompt: mapper.prompt.strip(prompt, fold), Response: e.Response}
}

// byRank are the splits, those first whose examples stay.
func (m *maker) byRank() []int {
	order := make([]int, len(m.splits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(m.ranks[a], m.ranks[b]) })
	return order
}

// dropNear leaves out examples that are similar to one that stays.
func (m *maker) dropNear(ctx context.Context) (err error) {
	d := m.o.Deduplicate
	if d == nil || d.Near == 0 {
		return nil
	}
	o := overlap.Options{Threshold: d.Near}
	if d.On == OnPrompt {
		o.Compare = overlap.ComparePrompt
	}
	finder, err := overlap.NewFinder(m.scratch, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finder.Close()) }()
	places, err := createSpoolFile(filepath.Join(m.scratch, "near.places"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, places.Close(), os.Remove(places.file.Name())) }()
	if err := m.feed(ctx, finder, places.Writer); err != nil {
		return err
	}
	if err := places.Flush(); err != nil {
		return err
	}
	result, err := finder.Find(ctx, func(_ context.Context, i int) (overlap.Text, error) {
		var b [placeBytes]byte
		if _, err := places.file.ReadAt(b[:], int64(i)*placeBytes); err != nil {
			return overlap.Text{}, noEOF(err)
		}
		place := binary.BigEndian.Uint64(b[:])
		e, err := m.spools[place>>56].readAt(int64(place & (1<<56 - 1)))
		if err != nil {
			return overlap.Text{}, err
		}
		return m.comparable(e), nil
	})
	if err != nil {
		return err
	}
	n := 0
	for _, split := range m.byRank() {
		for at, v := range m.verdicts[split] {
			if v != 0 {
				continue
			}
			if _, near := result.Of(n, overlap.Near); near {
				m.drop(split, at, NearDuplicate) // v was read before
			}
			n++
		}
	}
	return nil
}

// placeBytes is an example's split, one byte, and where it is in the spool.
const placeBytes = 8

// feed gives the finder all examples that are there, and notes where they are.
func (m *maker) feed(ctx context.Context, finder *overlap.Finder, places *bufio.Writer) error {
	for _, split := range m.byRank() {
		err := m.spools[split].read(func(at int, e *spooled) error {
			if m.verdicts[split][at] != 0 {
				return nil
			}
			var b [placeBytes]byte
			binary.BigEndian.PutUint64(b[:], uint64(split)<<56|uint64(e.at))
			if _, err := places.Write(b[:]); err != nil {
				return err
			}
			return finder.Add(ctx, m.comparable(e))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
