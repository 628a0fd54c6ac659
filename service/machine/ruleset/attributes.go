package ruleset

import (
	"bytes"
	"encoding/binary"
)

// attrs are netlink attributes by their type; of several of one type, the last.
type attrs map[uint16][]byte

const (
	attrHead = 4
	typeMask = 0x3fff // without the flags "nested" and "network byte order"
)

// each calls f for every attribute in order. What is cut off is left out.
func each(b []byte, f func(kind uint16, value []byte)) {
	for len(b) >= attrHead {
		n := int(binary.NativeEndian.Uint16(b))
		if n < attrHead || n > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&typeMask, b[attrHead:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

func parse(b []byte) attrs {
	a := attrs{}
	each(b, func(kind uint16, value []byte) { a[kind] = value })
	return a
}

func (a attrs) has(kind uint16) bool { return a[kind] != nil }

func (a attrs) nested(kind uint16) attrs { return parse(a[kind]) }

// number is the value of an attribute in network byte order, 0 if there is none.
func (a attrs) number(kind uint16) uint64 {
	var n uint64
	if v := a[kind]; len(v) <= 8 {
		for _, b := range v {
			n = n<<8 | uint64(b)
		}
	}
	return n
}

func (a attrs) u32(kind uint16) uint32 { return uint32(a.number(kind)) }

func (a attrs) text(kind uint16) string { return zeroEnded(a[kind]) }

// zeroEnded is a string of C, which may fill its array.
func zeroEnded(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
