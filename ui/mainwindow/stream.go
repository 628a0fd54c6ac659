package mainwindow

import (
	"context"
	"sync"
	"time"

	"sekisho/app/flow"
)

const (
	pace      = 500 * time.Millisecond // the list changes at most this often
	settle    = time.Second            // after this the whole list is fetched once more
	firstWait = 300 * time.Millisecond // before the first try to reconnect
	longWait  = 5 * time.Second
)

// inbox joins what the stream reports between two deliveries: of each connection only
// the last state counts.
type inbox struct {
	mu      sync.Mutex
	changes map[string]flow.Flow
	some    chan struct{}
}

func newInbox() *inbox {
	return &inbox{changes: map[string]flow.Flow{}, some: make(chan struct{}, 1)}
}

func (b *inbox) put(f flow.Flow) {
	b.mu.Lock()
	b.changes[f.ID] = f
	b.mu.Unlock()
	select {
	case b.some <- struct{}{}:
	default:
	}
}

func (b *inbox) take() []flow.Flow {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]flow.Flow, 0, len(b.changes))
	for _, f := range b.changes {
		out = append(out, f)
	}
	clear(b.changes)
	return out
}

// follow keeps the connections up to date while the window is visible, and reconnects
// with growing pauses when the service is away.
func (w *Window) follow(ctx context.Context) {
	wait := firstWait
	for {
		seen, cancel, ok := w.sight.wait(ctx)
		if !ok {
			return
		}
		began := w.clock.Now()
		err := w.stream(seen)
		if hidden := seen.Err() != nil; hidden {
			cancel()
			continue
		}
		if w.clock.Now().Sub(began) > longWait {
			wait = firstWait
		}
		w.do(func() { w.lost(err) })
		sleep(seen, w.clock, wait)
		wait = min(2*wait, longWait)
		cancel()
	}
}

// stream follows the connections until ctx ends or the service goes away.
func (w *Window) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	box := newInbox()
	ended := make(chan error, 1)
	go func() { ended <- w.client.FollowConnections(ctx, box.put) }()
	finish := func(err error) error {
		cancel()
		if e := <-ended; err == nil {
			return e
		}
		return err
	}
	if err := w.fetch(ctx, box); err != nil {
		return finish(err)
	}
	// Nothing says when the stream has begun: whatever happened between the list and its
	// first report is caught by fetching the list again.
	again := make(chan struct{}, 1)
	stop := w.clock.AfterFunc(settle, func() { again <- struct{}{} })
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return finish(ctx.Err())
		case err := <-ended:
			cancel()
			return err
		case <-again:
			if err := w.fetch(ctx, box); err != nil {
				return finish(err)
			}
		case <-box.some:
			w.deliver(ctx, func() { w.connections.apply(box.take()) })
			sleep(ctx, w.clock, pace)
		}
	}
}

// fetch takes the whole list, and then what happened while it was on its way.
func (w *Window) fetch(ctx context.Context, box *inbox) error {
	flows, err := w.client.Connections(ctx)
	if err != nil {
		return err
	}
	status, err := w.client.Status(ctx)
	if err != nil {
		return err
	}
	w.deliver(ctx, func() {
		w.connections.sync(flows, box.take())
		w.reached(status)
	})
	return nil
}

// deliver runs f on Fyne's goroutine and waits for it, so that a slow screen is never
// sent more than it can draw.
func (w *Window) deliver(ctx context.Context, f func()) {
	done := make(chan struct{})
	w.do(func() { defer close(done); f() })
	select {
	case <-done:
	case <-ctx.Done():
	}
}
