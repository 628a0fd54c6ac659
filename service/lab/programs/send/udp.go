package main

import (
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	udpSegment          = 103
	udpCork             = 1
	attachReuseportCBPF = 51
)

var _ = add(map[string]call{
	"udp":                  udp(0, udpConnected),
	"udp-sendto":           udp(0, sendto),
	"udp-sendmsg":          udp(0, sendmsg),
	"udp-sendmmsg":         sendmmsg,
	"udp-segment":          udp(0, segment),
	"udp-segment-sendto":   udp(0, segmentTo),
	"udp-cork":             udp(0, cork),
	"udp-more":             udp(0, more),
	"udp-mapped":           udpMapped,
	"udp-zerocopy":         udp(0, udpZerocopy),
	"udp-splice":           udp(0, udpSplice),
	"udp-reuseport":        udp(0, reuseport),
	"udp-unspec":           udpReconnect,
	"udp-reconnect":        udpReconnectAtOnce,
	"udp-connected-sendto": connectedSendto,
	"udp-many":             many,
	"udplite":              udp(unix.IPPROTO_UDPLITE, udpConnected),
	"udplite-sendto":       udp(unix.IPPROTO_UDPLITE, sendto),
	"broadcast":            udp(0, broadcast),
})

func udp(protocol int, use func(o options, fd int, a netip.AddrPort) error) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			fd, err := o.open(a.Addr(), unix.SOCK_DGRAM, protocol)
			if err != nil {
				return err
			}
			return use(o, fd, a)
		})
	}
}

func udpConnected(o options, fd int, a netip.AddrPort) error {
	if err := unix.Connect(fd, sockaddr(a)); err != nil {
		return at("connect", err)
	}
	return at("send", unix.Send(fd, o.payload, 0))
}

func sendto(o options, fd int, a netip.AddrPort) error {
	return at("send", unix.Sendto(fd, o.payload, 0, sockaddr(a)))
}

func sendmsg(o options, fd int, a netip.AddrPort) error {
	return at("send", unix.Sendmsg(fd, o.payload, nil, sockaddr(a), 0))
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	sent uint32
	_    [4]byte
}

// sendmmsg sends to all destinations in one call, twice to each.
func sendmmsg(o options, to []netip.AddrPort) error {
	fd, err := o.open(to[0].Addr(), unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	var all []mmsghdr
	var keep [][]byte
	for range 2 {
		for _, a := range to {
			m, b := message(o.payload, a)
			all, keep = append(all, mmsghdr{Msghdr: *m}), append(keep, b)
		}
	}
	for len(all) > 0 { // it stops at the first that is refused
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&all[0])), uintptr(len(all)), 0, 0, 0)
		if errno != 0 {
			err, n = errno, 1
		}
		all = all[n:]
	}
	runtime.KeepAlive(keep)
	return at("send", err)
}

// message is a struct msghdr and the address that it points to.
func message(payload []byte, a netip.AddrPort) (*unix.Msghdr, []byte) {
	name := rawSockaddr(a)
	v := &unix.Iovec{Base: unsafe.SliceData(payload)}
	v.SetLen(len(payload))
	m := &unix.Msghdr{Name: unsafe.SliceData(name), Namelen: uint32(len(name)), Iov: v}
	m.SetIovlen(1)
	return m, name
}

// segment has the kernel cut one large buffer into datagrams.
func segment(o options, fd int, a netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpSegment, len(o.payload)); err != nil {
		return at("options", err)
	}
	o.payload = append(append(o.payload, o.payload...), o.payload...)
	return udpConnected(o, fd, a)
}

func segmentTo(o options, fd int, a netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpSegment, len(o.payload)); err != nil {
		return at("options", err)
	}
	o.payload = append(append(o.payload, o.payload...), o.payload...)
	return sendto(o, fd, a)
}

func cork(o options, fd int, a netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpCork, 1); err != nil {
		return at("options", err)
	}
	for range 2 {
		if err := sendto(o, fd, a); err != nil {
			return err
		}
	}
	return at("send", unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpCork, 0))
}

func more(o options, fd int, a netip.AddrPort) error {
	if err := unix.Sendto(fd, o.payload, unix.MSG_MORE, sockaddr(a)); err != nil {
		return at("send", err)
	}
	return sendto(o, fd, a)
}

func udpMapped(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openFamily(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		if err := sendto(o, fd, mapped(a)); err != nil {
			return err
		}
		return udpConnected(o, fd, mapped(a))
	})
}

func udpZerocopy(o options, fd int, a netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return at("options", err)
	}
	return at("send", unix.Sendto(fd, o.payload, unix.MSG_ZEROCOPY, sockaddr(a)))
}

func udpSplice(o options, fd int, a netip.AddrPort) error {
	if err := unix.Connect(fd, sockaddr(a)); err != nil {
		return at("connect", err)
	}
	return at("send", splice(o, fd))
}

// reuseport is of a group that a filter of its own spreads packets over.
func reuseport(o options, fd int, a netip.AddrPort) error {
	filter := [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	prog := unix.SockFprog{Len: 1, Filter: &filter[0]}
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err == nil {
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, attachReuseportCBPF, &prog)
	}
	if err != nil {
		return at("options", err)
	}
	return sendto(o, fd, a)
}

// udpReconnect uses one socket for all destinations, disconnected in between.
func udpReconnect(o options, to []netip.AddrPort) error {
	fd, err := o.open(to[0].Addr(), unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return each(to, func(a netip.AddrPort) error {
		if err := udpConnected(o, fd, a); err != nil {
			return err
		}
		return at("disconnect", unspecified(fd))
	})
}

func udpReconnectAtOnce(o options, to []netip.AddrPort) error {
	fd, err := o.open(to[0].Addr(), unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return each(to, func(a netip.AddrPort) error { return udpConnected(o, fd, a) })
}

// connectedSendto is connected to the first destination and names the others.
func connectedSendto(o options, to []netip.AddrPort) error {
	fd, err := o.open(to[0].Addr(), unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := udpConnected(o, fd, to[0]); err != nil {
		return err
	}
	return each(to[1:], func(a netip.AddrPort) error { return sendto(o, fd, a) })
}

// many sends on one socket to each destination in turn, again and again.
func many(o options, to []netip.AddrPort) error {
	fd, err := o.open(to[0].Addr(), unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	for range 5 {
		err = each(to, func(a netip.AddrPort) error { return sendto(o, fd, a) })
	}
	return err
}

func broadcast(o options, fd int, a netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return at("options", err)
	}
	return sendto(o, fd, a)
}
