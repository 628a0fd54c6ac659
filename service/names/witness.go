package names

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// WitnessWait is how long a Witness waits for the name servers at most.
	WitnessWait = 2 * time.Second

	maxWitnessed = 1024             // names
	maxAsked     = 8                // at once
	witnessKept  = time.Minute      // what was answered
	denialKept   = 10 * time.Second // that nothing was
)

// Witness says whether a name that a program only claims (package hello) leads to the
// address that it talks to, by asking the name servers of the system. It is to be asked
// about names that rules of the program name, and no others: what it asks can be seen on
// the network, where the program may have kept it to itself. Make it with NewWitness; its
// methods may be called from any goroutine.
type Witness struct {
	lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	clock  func() time.Time
	places chan struct{}

	mu    sync.Mutex // guards what follows
	known map[string]*testimony
}

type testimony struct {
	done  chan struct{} // closed when addrs and until are there
	addrs []netip.Addr
	until time.Time
}

// NewWitness makes a Witness that asks through lookup, which net.Resolver's LookupNetIP
// can be: from any goroutine, and ending with its context.
func NewWitness(lookup func(ctx context.Context, name string) ([]netip.Addr, error)) *Witness {
	return &Witness{lookup: lookup, clock: time.Now, places: make(chan struct{}, maxAsked), known: map[string]*testimony{}}
}

// Confirms reports whether name leads to addr now. It returns within WitnessWait; no
// answer confirms nothing.
func (w *Witness) Confirms(ctx context.Context, name string, addr netip.Addr) bool {
	name, ok := HostName(name)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, WitnessWait)
	defer cancel()
	t, ask := w.of(name)
	if ask {
		w.ask(ctx, name, t)
	}
	select {
	case <-t.done:
		return slices.Contains(t.addrs, plain(addr))
	case <-ctx.Done():
		return false
	}
}

// of finds what is known of a name; ask says that the caller is to find it out.
func (w *Witness) of(name string) (t *testimony, ask bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t = w.known[name]; t != nil {
		select {
		case <-t.done:
			if w.clock().Before(t.until) {
				return t, false
			}
		default:
			return t, false // somebody asks just now
		}
	}
	if len(w.known) >= maxWitnessed {
		w.forget()
	}
	t = &testimony{done: make(chan struct{})}
	w.known[name] = t
	return t, true
}

// forget makes room: of what has run out, or else of whatever is there.
func (w *Witness) forget() {
	now := w.clock()
	for name, t := range w.known {
		select {
		case <-t.done:
			if !now.Before(t.until) || len(w.known) >= maxWitnessed {
				delete(w.known, name)
			}
		default:
		}
	}
}

func (w *Witness) ask(ctx context.Context, name string, t *testimony) {
	kept := denialKept
	select {
	case w.places <- struct{}{}:
		found, err := w.lookup(ctx, name)
		<-w.places
		if err == nil && len(found) > 0 {
			kept = witnessKept
			for _, a := range found[:min(len(found), maxRecords)] {
				t.addrs = append(t.addrs, plain(a))
			}
		}
	case <-ctx.Done():
		kept = 0
	}
	t.until = w.clock().Add(kept)
	close(t.done)
}
