package main

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

var _ = add(map[string]call{
	"sctp":          missing(unix.SOCK_STREAM, unix.IPPROTO_SCTP),
	"sctp-many":     missing(unix.SOCK_SEQPACKET, unix.IPPROTO_SCTP),
	"dccp":          missing(6, 33), // SOCK_DCCP, IPPROTO_DCCP
	"packet":        packet(false),
	"packet-bypass": packet(true),
	"unix":          local,
	"vsock":         vsock,
})

// missing is a protocol that not every kernel has.
func missing(kind, protocol int) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			fd, err := o.open(a.Addr(), kind, protocol)
			if err != nil {
				return err
			}
			return transmit(fd, o.payload, a, kind != unix.SOCK_SEQPACKET)
		})
	}
}

// packet writes a frame with a whole UDP datagram to the link itself, beneath IP.
func packet(bypass bool) call {
	return func(o options, to []netip.AddrPort) error {
		link, err := net.InterfaceByName(o.device)
		if err != nil {
			return at("link", err)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return at("socket", err)
		}
		if bypass {
			if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
				return at("options", err)
			}
		}
		ip := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP))
		all := &unix.SockaddrLinklayer{Protocol: ip, Ifindex: link.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
		return each(to, func(a netip.AddrPort) error {
			b := append(header4(unix.IPPROTO_UDP, forged, a.Addr(), 0, nil), udpSegmentOf(o, a)...)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
			return at("send", unix.Sendto(fd, b, 0, all))
		})
	}
}

// local sends through a pair of sockets that no network has to do with.
func local(o options, _ []netip.AddrPort) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at("socket", err)
	}
	if _, err := unix.Write(pair[0], o.payload); err != nil {
		return at("send", err)
	}
	return echoed(pair[1])
}

// vsock asks the machine's host for a port that nobody serves there.
func vsock(_ options, to []netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at("socket", err)
	}
	return at("bind", unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: unix.VMADDR_PORT_ANY}))
}
