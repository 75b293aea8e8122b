package model

import (
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/random"
)

// rowsIn lists where the rows of c lie, and checks the parts.
func rowsIn(t *testing.T, c *Cache) []place {
	t.Helper()
	var list []place
	for _, p := range c.parts {
		if p.rows < 1 || p.from < 0 || p.from+p.rows > p.segment.rows || p.segment.users < 1 {
			t.Fatalf("part %+v of a segment of %d rows, %d users", p, p.segment.rows, p.segment.users)
		}
		for i := range p.rows {
			list = append(list, place{p.segment, p.from + i})
		}
	}
	if len(list) != c.Len() {
		t.Fatalf("%d rows, length %d", len(list), c.Len())
	}
	return list
}

type place struct {
	segment *segment
	row     int
}

// Random forks, extensions and releases against plain lists of rows: no row
// moves, none is written by two, and memory of released caches only is used again.
func TestCachesAreListsOfRows(t *testing.T) {
	rng := random.Stream(9, "caches")
	for range 20 {
		m := newCacheMemory(cpu.New(1), []int{1})
		type sequence struct {
			c    *Cache
			rows []place
		}
		var live []*sequence
		for range 200 {
			if len(live) == 0 || rng.IntN(6) == 0 {
				c := &Cache{memory: m, room: rng.IntN(50)}
				for cut := 0; rng.IntN(2) == 0; {
					cut += 1 + rng.IntN(40)
					c.cuts = append(c.cuts, cut)
				}
				live = append(live, &sequence{c: c})
			}
			i := rng.IntN(len(live))
			s := live[i]
			switch rng.IntN(4) {
			case 0:
				n := rng.IntN(s.c.Len() + 1)
				f := s.c.forkAt(n, rng.IntN(30))
				live = append(live, &sequence{f, slices.Clone(s.rows[:n])})
			case 1:
				s.c.release()
				live = slices.Delete(live, i, i+1)
			default:
				n := 1 + rng.IntN(60)
				before := s.c.Len()
				s.c.extend(n)
				if s.c.Len() != before+n {
					t.Fatalf("length %d after %d more than %d", s.c.Len(), n, before)
				}
				added := rowsIn(t, s.c)[before:]
				for _, other := range live {
					for _, r := range added {
						if slices.Contains(other.rows, r) {
							t.Fatal("a new row is another's")
						}
					}
				}
				s.rows = append(s.rows, added...)
			}
			for _, s := range live {
				if got := rowsIn(t, s.c); !slices.Equal(got, s.rows) {
					t.Fatalf("rows %v, want %v", got, s.rows)
				}
			}
		}
		for _, s := range live {
			s.c.release()
		}
		bytes := 0
		for _, s := range m.free {
			if s.users != 0 {
				t.Errorf("a free segment has %d users", s.users)
			}
			bytes += m.size(s)
		}
		if bytes != m.bytes || bytes == 0 {
			t.Errorf("%d bytes are free, %d counted", bytes, m.bytes)
		}
	}
}

func TestCutsEndParts(t *testing.T) {
	m := newCacheMemory(cpu.New(1), []int{3, 3})
	c := &Cache{memory: m, room: 100, cuts: []int{20, 50}}
	c.extend(30)
	c.extend(40)
	var got []int
	for _, p := range c.parts {
		got = append(got, p.rows)
	}
	if want := []int{20, 30, 20}; !slices.Equal(got, want) {
		t.Errorf("parts of %v rows, want %v", got, want)
	}
}

func TestCachesGrowWithoutManyParts(t *testing.T) {
	m := newCacheMemory(cpu.New(1), []int{1})
	c := &Cache{memory: m}
	for range 20000 {
		c.extend(1)
	}
	if n := len(c.parts); n > 50 {
		t.Errorf("%d parts", n)
	}
}

// What is kept for later is bounded.
func TestFreeMemoryIsBounded(t *testing.T) {
	m := newCacheMemory(cpu.New(1), []int{1 << 10})
	var caches []*Cache
	for range 10 {
		c := &Cache{memory: m}
		c.extend(keptBytes / (8 << 10) / 4)
		caches = append(caches, c)
	}
	for _, c := range caches {
		c.release()
	}
	if len(m.free) != 4 || m.bytes > keptBytes {
		t.Errorf("%d segments of %d bytes are kept", len(m.free), m.bytes)
	}
	if s := m.take(100); s.rows > 104 || len(m.free) != 4 {
		t.Errorf("a segment of %d rows for 100", s.rows)
	}
}
