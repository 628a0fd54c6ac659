package hello

import (
	"container/list"

	"sekisho/app/flow"
	"sekisho/service/names/stream"
)

const (
	// MaxConns bounds the connections that are read at once.
	MaxConns = 1024
	// MaxKept bounds what is kept of all of them, in bytes.
	MaxKept = 8 << 20
)

// Conns reads the beginnings of many connections from their packets. K tells them apart:
// the cookie of a socket, with the other end for UDP. It belongs to one goroutine at a
// time. Make it with NewConns.
type Conns[K comparable] struct {
	conns map[K]*conn[K]
	used  *list.List // of *conn, the latest first
	kept  int
}

type conn[K comparable] struct {
	key   K
	place *list.Element
	first *First
	order *stream.Order // of TCP
}

// NewConns makes Conns that read no connection yet.
func NewConns[K comparable]() *Conns[K] {
	return &Conns[K]{conns: map[K]*conn[K]{}, used: list.New()}
}

// Begin begins to read a connection, anew if it was read before. Of TCP, seq is the number
// of the first byte: that of the SYN and one.
func (c *Conns[K]) Begin(key K, p flow.Protocol, seq uint32) {
	c.End(key)
	n := &conn[K]{key: key, first: NewFirst(p)}
	if p == flow.TCP {
		n.order = stream.NewOrder(seq)
	}
	n.place = c.used.PushFront(n)
	c.conns[key] = n
	c.shrink()
}

// Segment takes in a TCP packet that the client sent. Packets may come in any order and
// more than once. A connection that isn't read, or no longer for want of room, says
// Nothing.
func (c *Conns[K]) Segment(key K, seg *stream.Segment) (Hello, State) {
	n := c.conns[key]
	if n == nil || n.order == nil {
		return Hello{}, Nothing
	}
	before := n.kept()
	n.order.Add(seg.Seq, seg.Payload, func(b []byte) { n.first.Add(Client, b) })
	c.kept += n.kept() - before
	// After what was cut off of a packet nothing more is understood.
	if n.order.Lost() || seg.Cut && n.first.State() == More {
		c.End(key)
		return Hello{}, Nothing
	}
	c.shrink()
	return n.first.Hello(), n.first.State()
}

// Datagram takes in what a client sent over UDP.
func (c *Conns[K]) Datagram(key K, payload []byte) (Hello, State) {
	n := c.conns[key]
	if n == nil || n.order != nil {
		return Hello{}, Nothing
	}
	before := n.kept()
	n.first.Add(Client, payload)
	c.kept += n.kept() - before
	h, s := n.first.Hello(), n.first.State()
	c.shrink()
	return h, s
}

// ServerSpoke says that the server of a TCP connection was first to speak.
func (c *Conns[K]) ServerSpoke(key K) {
	if n := c.conns[key]; n != nil && n.order != nil {
		n.first.Add(Server, []byte{0})
	}
}

// End forgets a connection; it is no error if it isn't read.
func (c *Conns[K]) End(key K) {
	n := c.conns[key]
	if n == nil {
		return
	}
	c.kept -= n.kept()
	c.used.Remove(n.place)
	delete(c.conns, key)
}

func (c *Conns[K]) shrink() {
	for len(c.conns) > MaxConns || c.kept > MaxKept {
		c.End(c.used.Back().Value.(*conn[K]).key)
	}
}

func (n *conn[K]) kept() int {
	k := n.first.kept()
	if n.order != nil {
		k += n.order.Kept()
	}
	return k
}
