package hello

import (
	"bytes"
)

// Of RFC 9000 and RFC 9369.
const (
	quic1 = 1
	quic2 = 0x6b3343cf

	longHeader = 0x80
	maxCID     = 20

	framePadding = 0
	framePing    = 1
	frameAck     = 2
	frameAckECN  = 3
	frameCrypto  = 6
	frameClose   = 0x1c

	maxKeys = 4 // after a Retry, or several, the keys are others
)

// quicReader reads the initial packets that a client sends.
type quicReader struct {
	datagrams int
	keys      []*initialKeys
	crypto    pieces
}

func (r *quicReader) add(b []byte) (Hello, State) {
	r.datagrams++
	found := false
	for len(b) > 0 && b[0]&longHeader != 0 {
		p, rest, ok := readLong(b)
		if !ok {
			break
		}
		if p.initial && r.open(p) {
			found = true
		}
		b = rest
	}
	// The first datagram must be of QUIC, and of a version that can be read. Later ones may
	// be anything: a packet of another kind, or one that came damaged.
	if !found && len(r.keys) == 0 {
		return Hello{}, Nothing
	}
	if r.crypto.broken {
		return Hello{}, Nothing
	}
	h, s := readClientHello(r.crypto.head())
	if s != More {
		h.Kind = kindIf(s, QUIC)
		return h, s
	}
	if r.datagrams >= MaxDatagrams {
		return Hello{}, Nothing
	}
	return Hello{}, More
}

func (r *quicReader) kept() int { return cap(r.crypto.data) }

// long is a packet with a long header.
type long struct {
	version uint32
	initial bool
	dcid    []byte
	packet  []byte // from its first byte to its end
	number  int    // where the packet number begins
}

// readLong splits the first packet off a datagram (RFC 9000, 17.2; several may share one).
func readLong(b []byte) (p long, rest []byte, ok bool) {
	c := cursor{b: b}
	first := byte(c.number(1))
	p.version = uint32(c.number(4))
	dcid := c.vector(1)
	scid := c.vector(1)
	if c.bad || len(dcid.b) > maxCID || len(scid.b) > maxCID {
		return long{}, nil, false
	}
	p.dcid = dcid.b
	kind := first >> 4 & 3
	switch p.version {
	case quic1:
	case quic2: // its kinds are turned by one (RFC 9369, 3.2)
		kind = (kind + 3) % 4
	default:
		return long{}, nil, false
	}
	switch kind {
	case 0:
		p.initial = true
		c.run() // token
	case 1, 2: // 0-RTT, handshake
	default: // a Retry is no client's
		return long{}, nil, false
	}
	size := c.varint()
	p.number = len(b) - len(c.b)
	c.take(int(min(size, uint64(len(c.b))+1)))
	if c.bad {
		return long{}, nil, false
	}
	end := len(b) - len(c.b)
	p.packet = b[:end]
	return p, b[end:], true
}

// open takes the protection off an initial packet and reads its frames. The keys come
// from where the client's first packet went, or from what a Retry said.
func (r *quicReader) open(p long) bool {
	for _, k := range r.keys {
		if payload, ok := k.open(p); ok {
			r.frames(payload)
			return true
		}
	}
	if len(r.keys) >= maxKeys {
		return false
	}
	k := newInitialKeys(p.version, p.dcid)
	payload, ok := k.open(p)
	if !ok {
		return false
	}
	r.keys = append(r.keys, k)
	r.frames(payload)
	return true
}

// frames reads what an initial packet may hold (RFC 9000, 12.4).
func (r *quicReader) frames(b []byte) {
	c := cursor{b: b}
	for !c.empty() {
		switch kind := c.varint(); kind {
		case framePadding:
			c.b = bytes.TrimLeft(c.b, "\x00")
		case framePing:
		case frameAck, frameAckECN:
			c.varint() // the largest that came
			c.varint() // delay
			ranges := c.varint()
			c.varint() // the first range
			for ; ranges > 0 && !c.bad; ranges-- {
				c.varint()
				c.varint()
			}
			if kind == frameAckECN {
				c.varint()
				c.varint()
				c.varint()
			}
		case frameCrypto:
			at := c.varint()
			if data := c.run(); !c.bad {
				r.crypto.add(at, data)
			}
		case frameClose:
			c.varint() // why
			c.varint() // of which frame
			c.run()    // said
		default:
			c.bad = true
		}
	}
	if c.bad {
		r.crypto.broken = true
	}
}

// packetNumber is the whole number of which truncated has the last bytes (RFC 9000, A.3),
// expected being the next in order.
func packetNumber(expected uint64, truncated []byte) uint64 {
	var t uint64
	for _, b := range truncated {
		t = t<<8 | uint64(b)
	}
	win := uint64(1) << (8 * len(truncated))
	n := expected&^(win-1) | t
	switch {
	case n+win/2 <= expected && n < 1<<62-win:
		return n + win
	case n > expected+win/2 && n >= win:
		return n - win
	}
	return n
}
