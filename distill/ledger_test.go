package distill_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
)

func ledger(t *testing.T, s *distill.Store, cap distill.Money) *distill.Ledger {
	t.Helper()
	l, err := s.Ledger("main", cap)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func account(t *testing.T, s *distill.Store) distill.Account {
	t.Helper()
	list, err := s.Spending(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("accounts %+v, error %v", list, err)
	}
	return list[0]
}

func TestLedger(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	var purse distill.Purse = ledger(t, s, 100)
	a, err := purse.Reserve(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	if got := account(t, s); got != (distill.Account{Name: "main", Reserved: 60, Open: 1}) {
		t.Errorf("reserved: %+v", got)
	}
	if err := purse.Settle(t.Context(), a, 30); err != nil {
		t.Fatal(err)
	}
	if _, err := purse.Reserve(t.Context(), 71); !errors.Is(err, distill.ErrBudget) {
		t.Errorf("71 of 70: %v", err)
	} else {
		for _, want := range []string{"account main", "cap of $0.000000100", "$0.000000030 are spent", "$0.00 reserved", "may cost $0.000000071", "raise the cap"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
	b, err := purse.Reserve(t.Context(), 70)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := purse.Reserve(t.Context(), 0); err != nil {
		t.Errorf("nothing of nothing: %v", err)
	}
	// Settling goes on after a cancel.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := purse.Reserve(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := purse.Settle(ctx, b, 70); err != nil {
		t.Error(err)
	}
	if err := purse.Settle(ctx, b, 1); err == nil || !strings.Contains(err.Error(), "no reservation") {
		t.Errorf("settled twice: %v", err)
	}
	if got := account(t, s); got.Spent != 101 || got.Calls != 3 || got.Open != 1 {
		t.Errorf("in the end: %+v", got)
	}
	// Other accounts have their own money; another Ledger sees the same.
	if _, err := ledger(t, s, 100).Reserve(t.Context(), 1); !errors.Is(err, distill.ErrBudget) {
		t.Errorf("the same account: %v", err)
	}
	other, err := s.Ledger("other", 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Reserve(t.Context(), 100); err != nil {
		t.Errorf("another account: %v", err)
	}
}

func TestLedgerRefuses(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	for _, c := range []struct {
		name string
		cap  distill.Money
	}{{"", 1}, {"a", -1}} {
		if _, err := s.Ledger(c.name, c.cap); err == nil {
			t.Errorf("account %q with a cap of %v", c.name, c.cap)
		}
	}
	l := ledger(t, s, 100)
	if _, err := l.Reserve(t.Context(), -1); err == nil {
		t.Error("a negative reservation")
	}
	id, err := l.Reserve(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(t.Context(), id, -1); err == nil {
		t.Error("a negative amount")
	}
	if err := l.Settle(t.Context(), id, 11); err == nil || !strings.Contains(err.Error(), "the price is not right") || account(t, s).Spent != 11 {
		t.Errorf("more than reserved: %v, %+v", err, account(t, s))
	}
}

func TestRelease(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	if _, err := ledger(t, s, 100).Reserve(t.Context(), 90); err != nil { // by a process that dies
		t.Fatal(err)
	}
	l := ledger(t, s, 100)
	if _, err := l.Reserve(t.Context(), 20); !errors.Is(err, distill.ErrBudget) {
		t.Fatalf("the reservation of a dead process: %v", err)
	}
	if freed, err := s.Release(t.Context(), "main", time.Now().Add(-time.Hour)); err != nil || freed != 0 {
		t.Errorf("a new reservation: freed %v, %v", freed, err)
	}
	if freed, err := s.Release(t.Context(), "main", time.Now().Add(time.Second)); err != nil || freed != 90 {
		t.Errorf("freed %v, %v", freed, err)
	}
	if _, err := l.Reserve(t.Context(), 100); err != nil {
		t.Error(err)
	}
}

// spend makes calls of random cost, some of them with retries, until the budget
// is used up. It returns what the "server" billed.
func spend(t *testing.T, l *distill.Ledger, most distill.Money, at int) distill.Money {
	var billed atomic.Int64
	var all sync.WaitGroup
	for range at {
		all.Go(func() {
			for {
				id, err := l.Reserve(t.Context(), most)
				if errors.Is(err, distill.ErrBudget) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				cost := distill.Money(rand.Int64N(int64(most) + 1))
				billed.Add(int64(cost))
				if err := l.Settle(t.Context(), id, cost); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return distill.Money(billed.Load())
}

// The cap holds with 64 calls at a time, and nearly all of it is used: what is
// left is less than the most that one call can cost.
func TestBudgetUnderConcurrency(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	cap, most := distill.USD(1), distill.USD(0.003)
	watch, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watch)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if list, err := s.Spending(context.Background()); err != nil || len(list) == 1 && list[0].Spent+list[0].Reserved > cap {
				t.Errorf("%+v, error %v", list, err)
			}
		}
	}()
	start := time.Now()
	billed := spend(t, ledger(t, s, cap), most, 64)
	close(stop)
	<-watch
	got := account(t, s)
	if got.Spent != billed || got.Reserved != 0 || billed > cap || billed <= cap-most {
		t.Errorf("billed %v, account %+v, cap %v", billed, got, cap)
	}
	t.Logf("%d calls, %.0f reservations a second, %v of %v used", got.Calls, float64(got.Calls)/time.Since(start).Seconds(), billed, cap)
}

// TestBudgetUnderKills kills processes that spend. What they bill goes to a
// file before the call is settled, as a server's books do.
func TestBudgetUnderKills(t *testing.T) {
	cap, most := distill.USD(0.5), distill.USD(0.002)
	if path := os.Getenv("RETORT_TEST_SPEND"); path != "" {
		books, err := os.OpenFile(path+".billed", os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		s, err := distill.OpenStore(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		l := ledger(t, s, cap)
		for range 64 {
			go func() {
				for {
					id, err := l.Reserve(t.Context(), most)
					if err != nil {
						return
					}
					cost := rand.IntN(int(most) + 1)
					time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
					books.Write(make([]byte, cost/10_000)) // a byte is 10,000
					l.Settle(t.Context(), id, distill.Money(cost/10_000*10_000))
				}
			}()
		}
		select {}
	}
	path := filepath.Join(t.TempDir(), "a.db")
	probe := openStore(t, path)
	for range 5 {
		var pair []*exec.Cmd // two at a time, on the same account
		for range 2 {
			cmd := exec.Command(os.Args[0], "-test.run=^TestBudgetUnderKills$")
			cmd.Env = append(os.Environ(), "RETORT_TEST_SPEND="+path)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pair = append(pair, cmd)
		}
		for was := size(path + ".billed"); size(path+".billed") == was; { // they are at it, or the budget is used up
			if list, err := probe.Spending(t.Context()); err != nil || len(list) == 1 && list[0].Spent+list[0].Reserved > cap-most {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		for _, cmd := range pair {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	s := openStore(t, path)
	rest := spend(t, ledger(t, s, cap), most, 64) // what is left
	got := account(t, s)
	info, err := os.Stat(path + ".billed")
	if err != nil || info.Size() == 0 {
		t.Fatalf("nothing was billed before the kills: %v", err)
	}
	if got.Spent+got.Reserved > cap || got.Spent+got.Reserved <= cap-most || got.Reserved != distill.Money(got.Open)*most {
		t.Errorf("account %+v of a cap of %v", got, cap)
	}
	// The books of the killed: all that was billed is spent or reserved.
	if billed := distill.Money(info.Size() * 10_000); billed > got.Spent-rest+got.Reserved {
		t.Errorf("%v were billed, and %v are spent and %v reserved", billed, got.Spent-rest, got.Reserved)
	}
	t.Logf("%v spent, %v reserved by %d calls of killed processes, %v billed to those", got.Spent, got.Reserved, got.Open, distill.Money(info.Size()*10_000))
}

// size is that of a file in bytes, 0 if there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func BenchmarkReserve(b *testing.B) {
	s, err := distill.OpenStore(b.Context(), filepath.Join(b.TempDir(), "a.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l, err := s.Ledger("main", distill.Dollar)
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(64)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			id, err := l.Reserve(b.Context(), 1)
			if err == nil {
				err = l.Settle(b.Context(), id, 0)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
