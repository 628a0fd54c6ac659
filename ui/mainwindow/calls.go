package mainwindow

import (
	"context"
	"sync"
	"time"
)

// patience is how long one call of the service may take.
const patience = 10 * time.Second

// calls is a queue of calls of the service. They are made one after another, so that
// what a person did first happens first.
type calls struct {
	mu    sync.Mutex
	queue []func(context.Context)
	some  chan struct{}
}

func newCalls() *calls { return &calls{some: make(chan struct{}, 1)} }

// add puts a call at the end of the queue; from any goroutine.
func (c *calls) add(f func(context.Context)) {
	c.mu.Lock()
	c.queue = append(c.queue, f)
	c.mu.Unlock()
	select {
	case c.some <- struct{}{}:
	default:
	}
}

func (c *calls) next() func(context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil
	}
	f := c.queue[0]
	c.queue = c.queue[1:]
	return f
}

// run makes the calls until ctx ends.
func (c *calls) run(ctx context.Context) {
	for {
		for f := c.next(); f != nil && ctx.Err() == nil; f = c.next() {
			one, cancel := context.WithTimeout(ctx, patience)
			f(one)
			cancel()
		}
		select {
		case <-ctx.Done():
			return
		case <-c.some:
		}
	}
}

// sight says whether the window can be seen, and lets a goroutine wait for it.
type sight struct {
	mu      sync.Mutex
	visible bool
	changed chan struct{} // closed at the next change
}

func newSight() *sight { return &sight{changed: make(chan struct{})} }

func (s *sight) set(visible bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.visible != visible {
		s.visible = visible
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

func (s *sight) get() (visible bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visible, s.changed
}

// wait returns a context that lasts for as long as the window is visible, once it is;
// ok is false if ctx ended before.
func (s *sight) wait(ctx context.Context) (seen context.Context, cancel context.CancelFunc, ok bool) {
	for {
		visible, changed := s.get()
		if ctx.Err() != nil {
			return nil, nil, false
		}
		if visible {
			seen, cancel = context.WithCancel(ctx)
			go func() {
				select {
				case <-changed:
					cancel()
				case <-seen.Done():
				}
			}()
			return seen, cancel, true
		}
		select {
		case <-ctx.Done():
			return nil, nil, false
		case <-changed:
		}
	}
}
