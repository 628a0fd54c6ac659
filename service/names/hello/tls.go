package hello

import (
	"encoding/binary"
)

const (
	recordHandshake = 22
	recordHeader    = 5
	maxRecord       = 1<<14 + 256

	clientHello     = 1
	handshakeHeader = 4

	extServerName = 0
	extECH        = 0xfe0d // RFC 9849
	echInner      = 1
)

// tlsReader reads the records of TLS that hold a ClientHello.
type tlsReader struct {
	record    []byte // a record that isn't whole
	handshake []byte // what the records hold
	total     int
}

func (r *tlsReader) add(b []byte) (Hello, State) {
	if r.total += len(b); r.total > MaxHello {
		// The last bytes that fit may complete it; what follows them is no longer its.
		b = b[:max(0, len(b)-(r.total-MaxHello))]
	}
	r.record = append(r.record, b...)
	left := r.record
	for len(left) > 0 {
		// Only handshake records come before the hello is whole. The version of the record
		// says nothing (RFC 8446, 5.1), but it is always 3.x.
		if left[0] != recordHandshake || len(left) > 1 && left[1] != 3 {
			return Hello{}, Nothing
		}
		if len(left) < recordHeader {
			break
		}
		n := int(binary.BigEndian.Uint16(left[3:]))
		if n == 0 || n > maxRecord {
			return Hello{}, Nothing
		}
		// A record that isn't whole is read as far as it goes: the hello may end in it.
		part := left[recordHeader:min(len(left), recordHeader+n)]
		before := len(r.handshake)
		r.handshake = append(r.handshake, part...)
		if h, s := readClientHello(r.handshake); s != More {
			h.Kind = kindIf(s, TLS)
			return h, s
		}
		if len(part) < n {
			r.handshake = r.handshake[:before]
			break
		}
		left = left[recordHeader+n:]
	}
	r.record = append(r.record[:0], left...)
	if r.total >= MaxHello {
		return Hello{}, Nothing
	}
	return Hello{}, More
}

func (r *tlsReader) kept() int { return cap(r.record) + cap(r.handshake) }

func kindIf(s State, k Kind) Kind {
	if s == Said {
		return k
	}
	return None
}

// readClientHello reads the name out of a ClientHello, if b holds the whole of it.
func readClientHello(b []byte) (Hello, State) {
	if len(b) > 0 && b[0] != clientHello {
		return Hello{}, Nothing
	}
	if len(b) < handshakeHeader {
		return Hello{}, More
	}
	c := cursor{b: b[1:]}
	size := c.number(3)
	if size > MaxHello {
		return Hello{}, Nothing
	}
	if size > len(c.b) {
		return Hello{}, More
	}
	c.b = c.b[:size]
	c.take(2 + 32) // version, random
	c.vector(1)    // session
	c.vector(2)    // cipher suites
	c.vector(1)    // compression
	if c.bad {
		return Hello{}, Nothing
	}
	if len(c.b) == 0 { // of old: no extensions
		return Hello{}, Said
	}
	extensions := c.vector(2)
	if c.bad || len(c.b) > 0 {
		return Hello{}, Nothing
	}
	return readExtensions(extensions)
}

func readExtensions(c cursor) (h Hello, s State) {
	seen := map[int]bool{}
	for !c.empty() {
		kind := c.number(2)
		e := c.vector(2)
		if c.bad || seen[kind] { // each at most once (RFC 8446, 4.2)
			return Hello{}, Nothing
		}
		seen[kind] = true
		switch kind {
		case extServerName:
			name, ok := serverName(e)
			if !ok {
				return Hello{}, Nothing
			}
			h.Name = name
		case extECH:
			// An inner hello is seen by nobody but its server.
			if v := e.number(1); e.bad || v == echInner {
				return Hello{}, Nothing
			}
			h.Encrypted = true
		}
	}
	if c.bad {
		return Hello{}, Nothing
	}
	return h, Said
}

// serverName reads a list of names (RFC 6066, 3): exactly one host name. What is no
// name at all breaks the hello; an address leaves it without a name.
func serverName(c cursor) (string, bool) {
	list := c.vector(2)
	if c.bad || len(c.b) > 0 {
		return "", false
	}
	kind := list.number(1)
	name := list.vector(2)
	if list.bad || len(list.b) > 0 || kind != 0 || name.empty() {
		return "", false
	}
	return hostName(string(name.b))
}
