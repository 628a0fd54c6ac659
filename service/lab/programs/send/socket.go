package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// open makes a socket of the destination's family with what the flags ask for. Sockets are
// left to the program's end.
func (o options) open(to netip.Addr, kind, protocol int) (int, error) {
	family := unix.AF_INET
	if to.Is6() {
		family = unix.AF_INET6
	}
	return o.openFamily(family, kind, protocol)
}

func (o options) openFamily(family, kind, protocol int) (int, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return 0, at("socket", err)
	}
	return fd, at("options", o.prepare(fd, family))
}

func (o options) prepare(fd, family int) error {
	t := unix.NsecToTimeval(o.timeout.Nanoseconds())
	err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t))
	if o.device != "" {
		err = errors.Join(err, unix.BindToDevice(fd, o.device))
	}
	if o.mark != 0 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, o.mark))
	}
	if o.transparent {
		err = errors.Join(err, transparent(fd, family))
	}
	if o.via.IsValid() {
		err = errors.Join(err, o.route(fd))
	}
	if !o.source.IsValid() {
		return err
	}
	return errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.Bind(fd, sockaddr(o.source)))
}

func transparent(fd, family int) error {
	if family == unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
}

// route has the packets of fd go to the hop first, which is the address that they bear
// until they get there.
func (o options) route(fd int) error {
	if o.via.Is4() {
		hop := o.via.As4()
		// loose source route (RFC 791): type, length, pointer, one hop; padded
		return unix.SetsockoptString(fd, unix.SOL_IP, unix.IP_OPTIONS, string(append([]byte{131, 7, 4}, append(hop[:], 0)...)))
	}
	hop := o.via.As16()
	// segment routing header (RFC 8754): next, length in 8 bytes, type 4, segments left 1,
	// last 1, flags, tag; the list is from the last segment, which the kernel fills in, on
	srh := append([]byte{0, 4, 4, 1, 1, 0, 0, 0}, make([]byte, 16)...)
	return unix.SetsockoptString(fd, unix.SOL_IPV6, unix.IPV6_RTHDR, string(append(srh, hop[:]...)))
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// rawSockaddr is a struct sockaddr_in or sockaddr_in6, for calls that package unix has not.
func rawSockaddr(a netip.AddrPort) []byte {
	port := binary.BigEndian.AppendUint16(nil, a.Port())
	if a.Addr().Is4() {
		ip := a.Addr().As4()
		b := append(binary.NativeEndian.AppendUint16(nil, unix.AF_INET), port...)
		return append(append(b, ip[:]...), make([]byte, 8)...)
	}
	ip := a.Addr().As16()
	b := append(binary.NativeEndian.AppendUint16(nil, unix.AF_INET6), port...)
	b = append(append(b, 0, 0, 0, 0), ip[:]...)
	return append(b, 0, 0, 0, 0)
}

// unspecified is connect() to AF_UNSPEC: the socket forgets its peer.
func unspecified(fd int) error {
	none := make([]byte, 16)
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&none[0])), uintptr(len(none)))
	if errno != 0 {
		return errno
	}
	return nil
}

// mapped is an IPv4 address as IPv6 sockets write it.
func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// each calls f for every destination and returns what went wrong with any.
func each(to []netip.AddrPort, f func(netip.AddrPort) error) error {
	var all []error
	for _, a := range to {
		all = append(all, f(a))
	}
	return errors.Join(all...)
}

// echoed waits for an answer.
func echoed(fd int) error {
	_, _, err := unix.Recvfrom(fd, make([]byte, 1<<16), 0)
	return at("receive", err)
}
