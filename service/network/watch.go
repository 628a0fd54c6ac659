package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
)

const (
	settle   = 100 * time.Millisecond // changes come in bursts: wait for the end of one
	settled  = 400 * time.Millisecond // but never longer
	again    = time.Second            // until a gateway that doesn't answer is asked again, and longer each time
	atLeast  = time.Minute            // everything is read anew
	busAgain = 5 * time.Second        // until the bus is tried again
)

// Config is what a Watcher needs; every field may be zero.
type Config struct {
	// Bus connects to the bus that NetworkManager is on; nil: the system's. The Watcher
	// closes what it gets.
	Bus func(context.Context) (*dbus.Conn, error)
	// NetNS is a file descriptor of the network namespace to look at; 0: the own one.
	NetNS int
	// Known is the profiles that people gave, by network id.
	Known map[string]string
	// Changed is called with each new State, by Run's goroutine.
	Changed func(*State)
	Log     *slog.Logger
}

// Watcher knows the networks that this machine is on. Make it with New.
type Watcher struct {
	c     Config
	state atomic.Pointer[State]
	poke  chan struct{}

	mu    sync.Mutex // guards what is below
	known map[string]string

	// Run's own:
	manager manager
	macs    map[gateway]string // that were seen; good while the link stays up
	down    map[int]time.Time  // when each link was last seen to be down
}

// New makes a Watcher; it knows nothing until Run has begun.
func New(c Config) *Watcher {
	if c.Bus == nil {
		c.Bus = func(ctx context.Context) (*dbus.Conn, error) { return dbus.ConnectSystemBus(dbus.WithContext(ctx)) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{c: c, poke: make(chan struct{}, 1), known: maps.Clone(c.Known), macs: map[gateway]string{}, down: map[int]time.Time{}}
	w.state.Store(&State{})
	return w
}

// State is where the machine is now. Nobody may write to it.
func (w *Watcher) State() *State { return w.state.Load() }

// SetKnown replaces the profiles that people gave, by network id. Changed is called soon
// after.
func (w *Watcher) SetKnown(known map[string]string) {
	w.mu.Lock()
	w.known = maps.Clone(known)
	w.mu.Unlock()
	w.changed()
}

func (w *Watcher) changed() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// Run watches until ctx is done, or the kernel tells no more. After it everything is
// public.
func (w *Watcher) Run(ctx context.Context) error {
	kernel, err := openKernel(w.c.NetNS)
	if err != nil {
		return err
	}
	defer kernel.Close()
	events, err := openEvents(w.c.NetNS)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	managers := make(chan manager, 1)
	parts.Go(func() { cancel(events.run(w.changed)) })
	parts.Go(func() { w.watchManager(ctx, managers) })
	err = w.keep(ctx, kernel, events, managers)
	cancel(err)
	events.close()
	parts.Wait()
	if err == nil { // whoever ends us has no use for a last change
		w.state.Store(&State{})
	} else {
		w.publish(&State{})
	}
	return err
}

// keep publishes what changed.
func (w *Watcher) keep(ctx context.Context, kernel *netlink.Handle, events *events, managers <-chan manager) error {
	wait := again
	next := time.NewTimer(0)
	defer next.Stop()
	var since time.Time // of the first change that was not looked at
	for {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
				return cause
			}
			return nil
		case w.manager = <-managers:
			next.Reset(0)
			continue
		case <-w.poke:
			if since.IsZero() {
				since = time.Now()
			}
			next.Reset(min(settle, max(0, settled-time.Since(since))))
			continue
		case <-next.C:
		}
		since = time.Time{}
		unanswered, err := w.look(kernel, events)
		if err != nil {
			return err
		}
		if unanswered {
			next.Reset(wait)
			wait = min(2*wait, atLeast)
		} else {
			next.Reset(atLeast)
			wait = again
		}
	}
}

// look reads the kernel anew, and reports whether a gateway has not answered yet.
func (w *Watcher) look(kernel *netlink.Handle, events *events) (unanswered bool, err error) {
	down := events.take()
	s, err := read(kernel)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		w.changed() // it goes on changing: look again
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the networks: %w", err)
	}
	events.watch(s.gateway)
	old := w.remember(&s, down, time.Now())
	for g, mac := range s.gateway {
		if mac == "" && s.answers(g) {
			unanswered = true
			if err := askNeighbour(kernel, g, old[g]); err != nil {
				w.c.Log.Debug("a gateway is not asked", "gateway", g.addr, "err", err)
			}
		}
	}
	w.mu.Lock()
	known := w.known
	w.mu.Unlock()
	w.publish(&State{Networks: with(identify(&s, w.manager), known), routes: s.routes})
	return unanswered, nil
}

// answers reports whether a gateway's link is one on which neighbours have addresses. The
// kernel asks for those of IPv6 by itself only where it has an address of the link's own:
// else an entry that waits in vain would keep programs' packets waiting with it.
func (s *snapshot) answers(g gateway) bool {
	for i := range s.links {
		if l := &s.links[i]; l.index == g.link {
			return l.running && !isVPN(l.kind) && l.kind != "ppp" && (g.addr.Is4() || slices.ContainsFunc(l.prefixes, linkLocal))
		}
	}
	return false
}

func linkLocal(p netip.Prefix) bool { return p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() }

// tick is how exact the ages are that the kernel tells.
const tick = 2 * time.Second / userHZ

// remember keeps hardware addresses while their links stay up: a neighbour that is silent
// for a while is no other network. Where a link was down, what the kernel knew before is of
// the network that it was on then (it may keep it for half a minute): it returns those.
func (w *Watcher) remember(s *snapshot, down map[int]bool, now time.Time) (old map[gateway]bool) {
	since := map[int]time.Time{} // without links that are gone
	for i := range s.links {
		l := &s.links[i]
		if at, ok := w.down[l.index]; ok {
			since[l.index] = at
		}
		if !l.running || down[l.index] {
			since[l.index] = now
		}
	}
	w.down = since
	for g := range w.macs {
		if _, ok := s.gateway[g]; !ok || w.down[g.link].Equal(now) {
			delete(w.macs, g)
		}
	}
	old = map[gateway]bool{}
	for g, mac := range s.gateway {
		since, was := w.down[g.link]
		switch {
		case mac == "":
			s.gateway[g] = w.macs[g]
		case was && now.Add(-s.confirmed[g]-tick).Before(since):
			s.gateway[g], old[g] = "", true
		default:
			w.macs[g] = mac
		}
	}
	return old
}

func (w *Watcher) publish(s *State) {
	if reflect.DeepEqual(s, w.state.Load()) {
		return
	}
	w.state.Store(s)
	if w.c.Changed != nil {
		w.c.Changed(s)
	}
}

// watchManager sends what NetworkManager says, at first and after each change. While it
// can't be reached, nothing is known of it.
func (w *Watcher) watchManager(ctx context.Context, to chan<- manager) {
	for ctx.Err() == nil {
		if err := w.listen(ctx, to); err != nil && ctx.Err() == nil {
			w.c.Log.Debug("NetworkManager is not heard", "err", err)
		}
		send(ctx, to, manager{})
		select {
		case <-ctx.Done():
		case <-time.After(busAgain):
		}
	}
}

// listen stays with one connection to the bus until it ends.
func (w *Watcher) listen(ctx context.Context, to chan<- manager) error {
	bus, err := w.c.Bus(ctx)
	if err != nil {
		return fmt.Errorf("connect to the bus: %w", err)
	}
	defer func() { _ = bus.Close() }()
	signals := make(chan *dbus.Signal, 16)
	if err := subscribe(ctx, bus, signals); err != nil {
		return err
	}
	for {
		m, err := askManager(ctx, bus)
		if err != nil {
			return err
		}
		send(ctx, to, m)
		select {
		case <-ctx.Done():
			return nil
		case <-bus.Context().Done():
			return errors.New("the bus is gone")
		case _, ok := <-signals:
			if !ok {
				return errors.New("the bus is gone")
			}
			if drain(ctx, signals) {
				return nil
			}
		}
	}
}

// drain waits for the end of a burst of signals; true if ctx is done.
func drain(ctx context.Context, signals <-chan *dbus.Signal) bool {
	end := time.NewTimer(settle)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case _, ok := <-signals:
			if !ok {
				return false
			}
		case <-end.C:
			return false
		}
	}
}

func send(ctx context.Context, to chan<- manager, m manager) {
	select {
	case to <- m:
	case <-ctx.Done():
	}
}
