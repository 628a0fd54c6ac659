package traffic

import (
	"iter"
	"slices"

	"sekisho/app/flow"
)

// Live is a flow of a Table. Its key must not change but by Table.Accept.
type Live struct {
	flow.Flow
	// Listener is the cookie of the socket at which an accepted connection arrived.
	Listener uint64

	moved      int64 // when something went through it, as far as was measured; Unix nanoseconds
	gone       bool
	prev, next *Live // of the same socket
}

// Gone reports whether l is in no Table any more.
func (l *Live) Gone() bool { return l.gone }

// Arriving reports whether l is a connection that has not been accepted yet, as far as is known.
func (l *Live) Arriving() bool {
	return l.Direction == flow.In && l.Protocol == flow.TCP && l.Listener == 0
}

// Table is the flows that live, by key and by socket. Nearly all are the only ones of
// their socket, and are found by it alone.
type Table struct {
	limit   int
	len     int
	sockets index[uint64] // the newest flow of each
	several index[Key]    // the flows of sockets that have, or had, more than one
}

// New makes an empty Table for at most limit flows.
func New(limit int) *Table {
	return &Table{limit: limit, sockets: newIndex[uint64](), several: newIndex[Key]()}
}

// Len is how many flows there are.
func (t *Table) Len() int { return t.len }

// Get finds the flow with key k, nil if there is none.
func (t *Table) Get(k Key) *Live {
	newest := t.sockets.get(k.Cookie)
	if newest == nil || KeyOf(&newest.Flow) == k {
		return newest
	}
	return t.several.get(k)
}

// Put keeps a copy of f in place of the flow with its key, if there is one. It returns nil
// when there is no room, or f has no socket whose end would be told.
func (t *Table) Put(f *flow.Flow) *Live {
	if f.Cookie == 0 {
		return nil
	}
	k := KeyOf(f)
	if l := t.Get(k); l != nil {
		l.Flow, l.moved = *f, f.Time.UnixNano()
		return l
	}
	if t.len >= t.limit {
		return nil
	}
	l := &Live{Flow: *f, moved: f.Time.UnixNano()}
	t.insert(k, l)
	return l
}

func (t *Table) insert(k Key, l *Live) {
	l.prev, l.next = nil, t.sockets.get(k.Cookie)
	if next := l.next; next != nil {
		next.prev = l
		if next.next == nil {
			t.several.set(KeyOf(&next.Flow), next)
		}
		t.several.set(k, l)
	}
	t.sockets.set(k.Cookie, l)
	t.len++
}

// Remove takes l out.
func (t *Table) Remove(l *Live) {
	if l.gone {
		return
	}
	t.unlink(l)
	l.gone = true
}

func (t *Table) unlink(l *Live) {
	t.len--
	t.several.remove(KeyOf(&l.Flow))
	switch {
	case l.prev != nil:
		l.prev.next = l.next
	case l.next != nil:
		t.sockets.set(l.Cookie, l.next)
	default:
		t.sockets.remove(l.Cookie)
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	l.prev, l.next = nil, nil
}

// Accept gives a connection that arrived at a listener the socket that it got. It returns
// nil if the connection is not known, or already has that socket.
func (t *Table) Accept(k Key, cookie uint64) *Live {
	l := t.Get(k)
	if l == nil || cookie == 0 || cookie == k.Cookie {
		return nil
	}
	t.unlink(l)
	l.Listener, l.Cookie = k.Cookie, cookie
	k.Cookie = cookie
	if old := t.Get(k); old != nil {
		t.Remove(old)
	}
	t.insert(k, l)
	return l
}

// Close takes the flows of a socket out, and returns them, the oldest first.
func (t *Table) Close(cookie uint64) []*Live {
	var all []*Live
	for l := t.sockets.get(cookie); l != nil; l = t.sockets.get(cookie) {
		t.Remove(l)
		all = append(all, l)
	}
	slices.Reverse(all)
	return all
}

// Of goes through the flows of a socket, the newest first.
func (t *Table) Of(cookie uint64) iter.Seq[*Live] {
	return func(yield func(*Live) bool) {
		for l := t.sockets.get(cookie); l != nil; l = l.next {
			if !yield(l) {
				return
			}
		}
	}
}

// Sockets goes through the cookies of all sockets, each with one of its flows.
func (t *Table) Sockets() iter.Seq2[uint64, *Live] {
	return func(yield func(uint64, *Live) bool) {
		for c, l := range t.sockets.flows {
			if !yield(c, l) {
				return
			}
		}
	}
}

// All lists the flows as they are now, in no order: whoever looks at them one by one
// later asks each whether it is Gone.
func (t *Table) All() []*Live {
	all := make([]*Live, 0, t.len)
	for l := range t.each() {
		all = append(all, l)
	}
	return all
}

func (t *Table) each() iter.Seq[*Live] {
	return func(yield func(*Live) bool) {
		for _, l := range t.sockets.flows {
			for ; l != nil; l = l.next {
				if !yield(l) {
					return
				}
			}
		}
	}
}
