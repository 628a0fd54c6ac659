package enforce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// Socket is an open socket as sock_diag shows it.
type Socket struct {
	Protocol flow.Protocol
	Family   uint8
	Cookie   uint64
	Local    netip.AddrPort
	Remote   netip.AddrPort
	id       [48]byte // struct inet_diag_sockid, as the kernel gave it
}

// Message types of linux/sock_diag.h.
const (
	sockDiagByFamily = 20
	sockDestroy      = 21
)

// Lookup finds the sockets that packets between these two ends are for.
type Lookup struct{ c *netlink.Conn }

// OpenLookup opens sock_diag in this network namespace.
func OpenLookup() (*Lookup, error) {
	c, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	return &Lookup{c}, nil
}

// Close ends it.
func (l *Lookup) Close() error { return l.c.Close() }

// Receiver is the cookie of the socket to which the kernel would deliver a packet that
// came in through an interface: a listening one if it begins a connection. false: there
// is none. It may be called from one goroutine at a time.
func (l *Lookup) Receiver(p flow.Protocol, local, remote netip.AddrPort, iface uint32) (uint64, bool, error) {
	from, to := local, remote
	if p == flow.UDP || p == flow.UDPLite {
		from, to = remote, local // "swapped for historical reasons": udp_dump_one of net/ipv4/udp_diag.c
	}
	family := uint8(unix.AF_INET6)
	var id [48]byte // struct inet_diag_sockid
	binary.BigEndian.PutUint16(id[0:], from.Port())
	binary.BigEndian.PutUint16(id[2:], to.Port())
	if a, b := from.Addr().Unmap(), to.Addr().Unmap(); a.Is4() {
		family = unix.AF_INET
		copy(id[4:], a.AsSlice())
		copy(id[20:], b.AsSlice())
	} else {
		copy(id[4:], a.WithZone("").AsSlice())
		copy(id[20:], b.WithZone("").AsSlice())
	}
	binary.NativeEndian.PutUint32(id[36:], iface)
	for i := 40; i < 48; i++ {
		id[i] = 0xff // INET_DIAG_NOCOOKIE
	}
	msgs, err := l.c.Execute(diagRequest(sockDiagByFamily, netlink.Request, family, p, id))
	if errors.Is(err, unix.ENOENT) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("find a socket: %w", err)
	}
	for _, m := range msgs {
		if s, ok := parseDiag(m.Data, p); ok {
			return s.Cookie, true, nil
		}
	}
	return 0, false, nil
}

// Sockets lists the TCP and UDP sockets of this network namespace.
func Sockets() ([]Socket, error) {
	c, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	defer c.Close()
	var all []Socket
	for _, p := range []flow.Protocol{flow.TCP, flow.UDP} {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			msgs, err := c.Execute(diagRequest(sockDiagByFamily, netlink.Request|netlink.Dump, family, p, [48]byte{}))
			if err != nil {
				return nil, fmt.Errorf("list %s sockets: %w", p, err)
			}
			for _, m := range msgs {
				if s, ok := parseDiag(m.Data, p); ok {
					all = append(all, s)
				}
			}
		}
	}
	return all, nil
}

// End closes the sockets for which which says so; their programs see ECONNABORTED.
// It returns how many it ended.
func End(which func(Socket) bool) (int, error) {
	all, err := Sockets()
	if err != nil {
		return 0, err
	}
	c, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return 0, fmt.Errorf("open sock_diag: %w", err)
	}
	defer c.Close()
	n := 0
	var errs []error
	for _, s := range all {
		if !which(s) {
			continue
		}
		_, err := c.Execute(diagRequest(sockDestroy, netlink.Request|netlink.Acknowledge, s.Family, s.Protocol, s.id))
		if err != nil && !errors.Is(err, unix.ENOENT) { // gone by itself
			errs = append(errs, fmt.Errorf("end a socket to %s: %w", s.Remote, err))
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}

// diagRequest builds a struct inet_diag_req_v2 (linux/inet_diag.h).
func diagRequest(kind netlink.HeaderType, flags netlink.HeaderFlags, family uint8, p flow.Protocol, id [48]byte) netlink.Message {
	b := make([]byte, 56)
	b[0], b[1] = family, uint8(p)
	binary.NativeEndian.PutUint32(b[4:], 0xffffffff) // every state
	copy(b[8:], id[:])
	return netlink.Message{Header: netlink.Header{Type: kind, Flags: flags}, Data: b}
}

// parseDiag reads a struct inet_diag_msg.
func parseDiag(d []byte, p flow.Protocol) (Socket, bool) {
	if len(d) < 72 {
		return Socket{}, false
	}
	s := Socket{Protocol: p, Family: d[0], Cookie: binary.NativeEndian.Uint64(d[44:])}
	copy(s.id[:], d[4:52])
	addr := func(b []byte) netip.Addr {
		if s.Family == unix.AF_INET {
			return netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrFrom16([16]byte(b[:16])).Unmap()
	}
	s.Local = netip.AddrPortFrom(addr(d[8:]), binary.BigEndian.Uint16(d[4:]))
	s.Remote = netip.AddrPortFrom(addr(d[24:]), binary.BigEndian.Uint16(d[6:]))
	return s, true
}
