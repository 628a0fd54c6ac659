package machine

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// conn asks rtnetlink what the library has no call for.
type conn struct{ *netlink.Conn }

func dialRoute() (conn, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	return conn{c}, err
}

func (c conn) execute(kind uint16, body []byte) ([][]byte, error) {
	msgs, err := c.Execute(netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request}, Data: body})
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, m := range msgs {
		all = append(all, m.Data)
	}
	return all, nil
}

func appendAttr(b []byte, kind uint16, v []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(v)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), v...)
	return append(b, make([]byte, (4-len(v)%4)%4)...)
}

// eachAttr calls f for every attribute; what is cut off is left out.
func eachAttr(b []byte, f func(kind uint16, v []byte)) {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}
