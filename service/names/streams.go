package names

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"sekisho/service/names/stream"
)

const (
	// MaxStreams bounds the connections to name servers that are read at once.
	MaxStreams = 256
	// MaxStreamed bounds what is kept of all of them, in bytes.
	MaxStreamed = 4 << 20

	maxAcked = 1 << 20 // what a client may have asked for on one connection, in bytes
)

// Streams reads the answers that name servers send over TCP. It belongs to one goroutine
// at a time. Make it with NewStreams.
//
// It reads packets before the kernel has found them to belong to the connection: anybody
// can send some that look like it. So it is told with which number the client began, which
// only the two ends know, and takes only what answers to that.
type Streams struct {
	began  func(client, server netip.AddrPort) (seq uint32, ok bool)
	conns  map[conn]*answers
	used   *list.List // of *answers, the latest first
	length int        // bytes kept
}

// conn is a connection by its two ends.
type conn struct{ client, server netip.AddrPort }

// answers is one connection's.
type answers struct {
	conn
	place *list.Element
	seq   uint32 // the client's first
	order *stream.Order
	part  []byte // of a message, from its length on
	lost  bool   // nothing more can be told: where a message begins isn't known
}

// NewStreams makes Streams that know no connection yet. began says which sequence number
// the client's SYN had, false if nobody under our eye made such a connection; it is called
// within Add.
func NewStreams(began func(client, server netip.AddrPort) (seq uint32, ok bool)) *Streams {
	return &Streams{began: began, conns: map[conn]*answers{}, used: list.New()}
}

// Add takes in a raw IP packet from TCP port 53, and returns the replies that it
// completes. Packets are taken in the order in which they pass; a connection counts only
// from its beginning. Errors wrap ErrNotDNS or ErrMalformed and do not end what else there
// is; replies that are returned with one count.
func (s *Streams) Add(packet []byte) ([]Reply, error) {
	seg, err := stream.Parse(packet)
	switch {
	case errors.Is(err, stream.ErrNotTCP):
		return nil, fmt.Errorf("%w: %w", ErrNotDNS, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case seg.Src.Port() != port:
		return nil, fmt.Errorf("%w: from port %d", ErrNotDNS, seg.Src.Port())
	}
	a, err := s.of(&seg)
	if err != nil || a == nil || a.lost {
		return nil, err
	}
	var replies []Reply
	before := a.kept()
	a.order.Add(seg.Seq, seg.Payload, func(b []byte) {
		for len(b) > 0 && !a.lost {
			var r Reply
			var whole bool
			if r, whole, b, err = a.next(b, err); whole {
				replies = append(replies, r)
			}
		}
	})
	a.lost = a.lost || a.order.Lost() || seg.Cut
	if a.lost {
		a.part = nil
		a.order = stream.NewOrder(0)
	}
	s.length += a.kept() - before
	if seg.FIN && !a.lost && a.order.Next() == seg.Seq+uint32(len(seg.Payload)) {
		s.drop(a)
	}
	for s.length > MaxStreamed {
		s.drop(s.used.Back().Value.(*answers))
	}
	return replies, err
}

// of finds the connection that a segment is of; nil if it isn't read.
func (s *Streams) of(seg *stream.Segment) (*answers, error) {
	c := conn{client: seg.Dst, server: seg.Src}
	a := s.conns[c]
	if seg.SYN {
		first, ok := s.began(c.client, c.server)
		if !ok || !seg.ACK || seg.Ack-first-1 > maxAcked {
			return nil, fmt.Errorf("%w: nobody asked %v", ErrNotDNS, seg.Src)
		}
		if a != nil && a.seq == first { // again, or of another who wants to be taken for it
			return a, nil
		}
		if a != nil {
			s.drop(a)
		}
		a = &answers{conn: c, seq: first, order: stream.NewOrder(seg.Seq)}
		a.place = s.used.PushFront(a)
		s.conns[c] = a
		for len(s.conns) > MaxStreams {
			s.drop(s.used.Back().Value.(*answers))
		}
		return a, nil
	}
	if a == nil {
		return nil, fmt.Errorf("%w: the connection's beginning was not seen", ErrNotDNS)
	}
	if !seg.ACK || seg.RST || seg.Ack-a.seq-1 > maxAcked {
		return nil, fmt.Errorf("%w: not of the connection", ErrNotDNS)
	}
	s.used.MoveToFront(a.place)
	return a, nil
}

func (s *Streams) drop(a *answers) {
	s.length -= a.kept()
	s.used.Remove(a.place)
	delete(s.conns, a.conn)
}

func (a *answers) kept() int { return cap(a.part) + a.order.Kept() }

// next takes from b up to the end of a message, which has its length before it (RFC 1035,
// 4.2.2). It passes an earlier error on.
func (a *answers) next(b []byte, was error) (r Reply, whole bool, rest []byte, err error) {
	need := 2
	if len(a.part) >= 2 {
		need += int(binary.BigEndian.Uint16(a.part))
	}
	n := min(len(b), need-len(a.part))
	a.part = append(a.part, b[:n]...)
	b = b[n:]
	if len(a.part) < 2 || len(a.part) < 2+int(binary.BigEndian.Uint16(a.part)) {
		return Reply{}, false, b, was
	}
	r, err = decodeReply(a.part[2:])
	a.part = nil
	if err != nil {
		return Reply{}, false, b, errors.Join(was, err)
	}
	r.Client, r.Server = a.client, a.server
	return r, true, b, was
}
