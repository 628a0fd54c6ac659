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
