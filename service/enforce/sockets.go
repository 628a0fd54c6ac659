package enforce

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

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
	d, err := OpenDiag(0)
	if err != nil {
		return nil, err
	}
	return &Lookup{d.c}, nil
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

// Diag lists and ends sockets. Make it with OpenDiag; one goroutine uses it at a time.
type Diag struct{ c *netlink.Conn }

// OpenDiag opens sock_diag in the network namespace that is open as netns; 0 is the
// caller's own.
func OpenDiag(netns int) (*Diag, error) {
	c, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, &netlink.Config{NetNS: netns})
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	return &Diag{c}, nil
}

// Close ends it.
func (d *Diag) Close() error { return d.c.Close() }

// Sockets lists the TCP and UDP sockets, those first that are connected to nobody.
func (d *Diag) Sockets() ([]Socket, error) {
	var all []Socket
	for _, p := range []flow.Protocol{flow.TCP, flow.UDP} {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			msgs, err := d.c.Execute(diagRequest(sockDiagByFamily, netlink.Request|netlink.Dump, family, p, [48]byte{}))
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
	slices.SortStableFunc(all, func(a, b Socket) int {
		return cmp.Compare(min(1, a.Remote.Port()), min(1, b.Remote.Port()))
	})
	return all, nil
}

// End closes the sockets for which which says so; their programs see ECONNABORTED.
// It returns how many it ended.
func (d *Diag) End(which func(Socket) bool) (int, error) {
	all, err := d.Sockets()
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, s := range all {
		if !which(s) {
			continue
		}
		_, err := d.c.Execute(diagRequest(sockDestroy, netlink.Request|netlink.Acknowledge, s.Family, s.Protocol, s.id))
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
