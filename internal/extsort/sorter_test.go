package extsort

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

func fill(t *testing.T, s *Sorter, seed uint64, n, size, values int) [][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var want [][]byte
	for range n {
		rec := make([]byte, size)
		for i := range rec {
			rec[i] = byte(r.IntN(values))
		}
		want = append(want, rec)
		if err := s.Add(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

func noFiles(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", dir, left, err)
	}
}

func TestAgainstSlicesSort(t *testing.T) {
	for _, c := range []struct{ n, size, values, memory int }{
		{0, 4, 256, 0}, {1, 4, 256, 0}, {5000, 3, 256, 0}, {5000, 3, 2, 0},
		{20000, 9, 256, minMemory}, {20000, 9, 2, minMemory}, {20000, 4, 1, minMemory},
		{3000, 1021, 3, minMemory}, // fewer than five records in memory: many passes
	} {
		dir := t.TempDir()
		s, err := New(dir, c.size, c.memory)
		if err != nil {
			t.Fatal(err)
		}
		want := fill(t, s, 7, c.n, c.size, c.values)
		slices.SortFunc(want, bytes.Compare)
		i := 0
		for got, err := range s.Sorted(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if i >= len(want) || !bytes.Equal(got, want[i]) {
				t.Fatalf("%+v: record %d is %x", c, i, got)
			}
			i++
		}
		if i != c.n {
			t.Errorf("%+v: %d records came back", c, i)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		noFiles(t, dir)
	}
}

func TestCancelledLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s, _ := New(dir, 8, minMemory)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fill(t, s, 3, 30000, 8, 256)
	seen := 0
	var last error
	for _, err := range s.Sorted(ctx) {
		if seen++; seen == 10 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || seen > 2*checkEvery {
		t.Errorf("after %d records: %v", seen, last)
	}
	s.Close()
	noFiles(t, dir)

	s, _ = New(dir, 8, minMemory)
	var err error
	for range minMemory {
		if err = s.Add(ctx, make([]byte, 8)); err != nil {
			break
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("adding: %v", err)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	s, _ := New(dir, 8, minMemory)
	fill(t, s, 3, 3000, 8, 256)
	s.file.File.Close() // a disk that fails
	var err error
	for range minMemory {
		if err = s.Add(t.Context(), make([]byte, 8)); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), ".scratch-") {
		t.Errorf("got %v", err)
	}
	s, _ = New(dir+"/missing", 8, minMemory)
	for range minMemory {
		if err = s.Add(t.Context(), make([]byte, 8)); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
}

func TestCutFileIsAnError(t *testing.T) {
	s, _ := New(t.TempDir(), 8, minMemory)
	defer s.Close()
	fill(t, s, 3, 30000, 8, 256)
	var last error
	for _, err := range s.Sorted(t.Context()) {
		if last = err; err == nil { // more is to be read than the buffers hold
			s.file.Truncate(0)
		}
	}
	if last == nil || !strings.Contains(last.Error(), ".scratch-") {
		t.Errorf("got %v", last)
	}
}

func TestMisuse(t *testing.T) {
	if _, err := New("", 0, 0); err == nil {
		t.Error("records of no bytes")
	}
	if _, err := New("", 8, 100); err == nil {
		t.Error("100 bytes of memory")
	}
	s, _ := New(t.TempDir(), 8, 0)
	if err := s.Add(t.Context(), make([]byte, 7)); err == nil {
		t.Error("a short record")
	}
	for range s.Sorted(t.Context()) {
	}
	if err := s.Add(t.Context(), make([]byte, 8)); err == nil {
		t.Error("a record after sorting")
	}
	for _, err := range s.Sorted(t.Context()) {
		if err == nil {
			t.Error("sorted twice")
		}
	}
}

func BenchmarkSort(b *testing.B) {
	rec := make([]byte, 17)
	r := rand.NewChaCha8([32]byte{1})
	b.SetBytes(1_000_000 * 17)
	for b.Loop() {
		s, _ := New(b.TempDir(), 17, 4<<20)
		for range 1_000_000 {
			r.Read(rec)
			s.Add(b.Context(), rec)
		}
		for range s.Sorted(b.Context()) {
		}
		s.Close()
	}
}
