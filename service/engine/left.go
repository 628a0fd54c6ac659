package engine

import (
	"net/netip"
	"slices"
	"time"

	"sekisho/app/flow"
	"sekisho/service/traffic"
)

// Who waits for one connection only closes the listener when it has come: the connection
// lives on, and is heard of by its first data.

// left is a connection whose listener is gone.
type left struct {
	*traffic.Live
	look time.Time // when to see whether it is there
}

// keepArrived leaves out of the flows of a closed socket the connections that may live on.
// It is called with mu held.
func (e *Engine) keepArrived(closed []*traffic.Live) []*traffic.Live {
	return slices.DeleteFunc(closed, func(l *traffic.Live) bool {
		if !l.Arriving() || l.State != flow.Open {
			return false
		}
		kept := e.live.Put(&l.Flow)
		if kept != nil {
			e.forgetExact(l)                                                 // that was for the listener
			e.left = append(e.left, left{kept, time.Now().Add(time.Second)}) // its first data may be told of
		}
		return kept != nil
	})
}

// endLeft ends the connections that came to nothing when their listener was closed.
func (e *Engine) endLeft(now time.Time) {
	e.mu.Lock()
	e.left = slices.DeleteFunc(e.left, func(l left) bool { return l.Gone() || !l.Arriving() })
	gone := map[ends]*traffic.Live{}
	for i, l := range e.left {
		if !l.look.After(now) {
			gone[endsOf(l.Live)] = l.Live
			e.left[i].look = now.Add(10 * time.Second)
		}
	}
	e.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	_, err := e.c.Sockets.End(func(s Socket) bool {
		delete(gone, ends{s.Local.Port(), netip.AddrPortFrom(s.Remote.Addr().Unmap(), s.Remote.Port())})
		return false
	})
	if err != nil {
		e.c.Log.Debug("connections of a closed listener are not known", "err", err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range gone {
		if !l.Gone() && l.Arriving() {
			e.live.Remove(l)
			e.noteEnd(l, now)
		}
	}
}
