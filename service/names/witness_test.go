package names

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		zone := map[string][]netip.Addr{"a.example": {ip1}, "b.example": addrs("::ffff:198.51.100.2", "2001:db8::1")}
		w := NewWitness(func(_ context.Context, name string) ([]netip.Addr, error) {
			asked++
			if found, ok := zone[name]; ok {
				return found, nil
			}
			return nil, errors.New("no such host")
		})
		check := func(name string, addr netip.Addr, want bool, asks int) {
			t.Helper()
			asked = 0
			if got := w.Confirms(t.Context(), name, addr); got != want || asked != asks {
				t.Errorf("%s at %v: %v after %d questions, want %v after %d", name, addr, got, asked, want, asks)
			}
		}
		check("A.Example.", ip1, true, 1)
		check("a.example", ip1, true, 0)
		check("a.example", ip2, false, 0)
		check("b.example", ip2, true, 1)
		check("b.example", addrs("2001:db8::1")[0], true, 0)
		check("none.example", ip1, false, 1)
		check("none.example", ip1, false, 0)
		check("no name", ip1, false, 0)
		zone["a.example"] = []netip.Addr{ip2}
		check("a.example", ip2, false, 0)
		time.Sleep(witnessKept)
		check("a.example", ip2, true, 1)
		check("a.example", ip1, false, 0)
	})
}

// Name servers that don't answer hold nobody up for longer, and many questions at once
// are one for each name and not many in all.
func TestWitnessWaitsSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at, most, asked atomic.Int32
		w := NewWitness(func(ctx context.Context, _ string) ([]netip.Addr, error) {
			asked.Add(1)
			if n := at.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer at.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		began := time.Now()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				if w.Confirms(t.Context(), fmt.Sprintf("n%d.example", i%50), ip1) {
					t.Error("confirmed by nobody")
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > WitnessWait {
			t.Errorf("it took %v", took)
		}
		if most.Load() > maxAsked || asked.Load() > 50 {
			t.Errorf("%d at once, %d in all", most.Load(), asked.Load())
		}
	})
}

func TestWitnessIsBounded(t *testing.T) {
	w := NewWitness(func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{ip1}, nil })
	for i := range 3 * maxWitnessed {
		if !w.Confirms(t.Context(), fmt.Sprintf("n%d.example", i), ip1) || len(w.known) > maxWitnessed {
			t.Fatalf("name %d: %d are known", i, len(w.known))
		}
	}
}
