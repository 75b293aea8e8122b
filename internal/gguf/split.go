package gguf

import (
	"fmt"
	"slices"
	"strings"
)

// Keys of a file that is one of several, as llama.cpp's gguf-split writes them.
// The first file has the metadata of the model and may have no tensors.
const (
	splitPrefix  = "split."
	splitNo      = "split.no"            // from 0 on
	splitCount   = "split.count"         // how many files there are
	splitTensors = "split.tensors.count" // in all files

	maxSplits = 1<<16 - 1
)

// splitOf returns the number of a file, from 0 on, and of how many; a file that
// is not split is 0 of 1.
func splitOf(m Metadata) (no, count int, err error) {
	n, ok, err := m.Int(splitCount)
	if err != nil || !ok || n == 0 { // writers leave 0 where they join files
		return 0, 1, err
	}
	if n < 1 || n > maxSplits {
		return 0, 0, fmt.Errorf("metadata %s: %d is not a number of files", splitCount, n)
	}
	i, ok, err := m.Int(splitNo)
	switch {
	case err != nil:
		return 0, 0, err
	case !ok:
		return 0, 0, fmt.Errorf("metadata %s: missing, and %s is %d", splitNo, splitCount, n)
	case i < 0 || i >= n:
		return 0, 0, fmt.Errorf("metadata %s: %d is not one of %d files", splitNo, i, n)
	}
	return int(i), int(n), nil
}

// openRest opens the files that follow f, and joins them to it.
func (f *File) openRest() error {
	no, count, err := splitOf(f.metadata)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	if count == 1 {
		return nil
	}
	prefix, ok := strings.CutSuffix(f.path, splitSuffix(no, count))
	switch {
	case !ok:
		return fmt.Errorf("read %s: it is file %d of %d, whose name must end in %s", f.path, no+1, count, splitSuffix(no, count))
	case no != 0:
		return fmt.Errorf("read %s: it is file %d of %d: open the first, %s", f.path, no+1, count, prefix+splitSuffix(0, count))
	}
	for i := 1; i < count; i++ {
		if err := f.join(prefix+splitSuffix(i, count), i, count); err != nil {
			return fmt.Errorf("file %d of %d of %s: %w", i+1, count, f.path, err)
		}
	}
	return f.joined()
}

func splitSuffix(no, count int) string { return fmt.Sprintf("-%05d-of-%05d.gguf", no+1, count) }

// join adds the tensors of the file at path, which must be number no of count.
func (f *File) join(path string, no, count int) error {
	next, err := openOne(path)
	if err != nil {
		return err
	}
	f.parts = append(f.parts, next.parts[0]) // closed with f from here on
	gotNo, gotCount, err := splitOf(next.metadata)
	if err == nil && (gotNo != no || gotCount != count) {
		err = fmt.Errorf("metadata %s, %s: it is file %d of %d", splitNo, splitCount, gotNo+1, gotCount)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	for _, t := range next.tensors {
		if _, ok := f.byName[t.Name]; ok {
			return fmt.Errorf("read %s: tensor %q: is in an earlier file too", path, t.Name)
		}
		t.part = no
		f.byName[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return nil
}

// joined checks the whole, which is not split any more.
func (f *File) joined() error {
	want, ok, err := f.metadata.Int(splitTensors)
	if err == nil && ok && want != int64(len(f.tensors)) {
		err = fmt.Errorf("metadata %s: %d, the files have %d", splitTensors, want, len(f.tensors))
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	f.metadata = slices.DeleteFunc(f.metadata, func(kv KV) bool { return strings.HasPrefix(kv.Key, splitPrefix) })
	return nil
}
