package main

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// TCP flags.
const (
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
)

var _ = add(map[string]call{
	"ping":                  ping(unix.SOCK_DGRAM, false),
	"ping-connected":        ping(unix.SOCK_DGRAM, true),
	"raw-ping":              ping(unix.SOCK_RAW, false),
	"raw-ping-connected":    ping(unix.SOCK_RAW, true),
	"raw":                   raw,
	"raw-tcp-ack":           rawTCP(flagACK | flagPSH),
	"raw-tcp-syn":           rawTCP(flagSYN),
	"header-udp":            header(unix.IPPROTO_UDP, udpSegmentOf, false),
	"header-udp-forged":     header(unix.IPPROTO_UDP, udpSegmentOf, true),
	"header-tcp-syn":        header(unix.IPPROTO_TCP, tcpSegmentOf(flagSYN), false),
	"header-tcp-syn-forged": header(unix.IPPROTO_TCP, tcpSegmentOf(flagSYN), true),
	"header-tcp-ack":        header(unix.IPPROTO_TCP, tcpSegmentOf(flagACK|flagPSH), false),
	"header-tcp-synack":     header(unix.IPPROTO_TCP, tcpSegmentOf(flagSYN|flagACK), false),
	"header-tcp-rst":        header(unix.IPPROTO_TCP, tcpSegmentOf(flagRST), false),
	"header-tcp-null":       header(unix.IPPROTO_TCP, tcpSegmentOf(0), false),
	"header-igmp":           header(unix.IPPROTO_IGMP, plain, false),
	"header-ipip":           header(unix.IPPROTO_IPIP, plain, false),
	"header-options":        headerOptions,
	"fragments":             fragments,
	"fragment-rest":         fragmentRest,
	"header6-udp":           header6(unix.IPPROTO_UDP, udpSegmentOf),
	"header6-tcp-ack":       header6(unix.IPPROTO_TCP, tcpSegmentOf(flagACK|flagPSH)),
	"header6-options":       header6Options,
	"fragments6":            fragments6,
	"fragment6-rest":        fragment6Rest,
})

// ping sends an echo request; the kernel fills in what it knows better.
func ping(kind int, connected bool) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			protocol := unix.IPPROTO_ICMP
			if a.Addr().Is6() {
				protocol = unix.IPPROTO_ICMPV6
			}
			fd, err := o.open(a.Addr(), kind, protocol)
			if err != nil {
				return err
			}
			return transmit(fd, echoRequest(o.payload, protocol), netip.AddrPortFrom(a.Addr(), 0), connected)
		})
	}
}

func echoRequest(payload []byte, protocol int) []byte {
	b := append([]byte{128, 0, 0, 0, 0, 1, 0, 1}, payload...)
	if protocol == unix.IPPROTO_ICMP {
		b[0] = 8
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

func transmit(fd int, b []byte, a netip.AddrPort, connected bool) error {
	if !connected {
		return at("send", unix.Sendto(fd, b, 0, sockaddr(a)))
	}
	if err := unix.Connect(fd, sockaddr(a)); err != nil {
		return at("connect", err)
	}
	return at("send", unix.Send(fd, b, 0))
}

// raw sends the payload with a protocol number of its own.
func raw(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.open(a.Addr(), unix.SOCK_RAW, o.protocol)
		if err != nil {
			return err
		}
		return transmit(fd, o.payload, netip.AddrPortFrom(a.Addr(), 0), false)
	})
}

// rawTCP sends a segment of a connection that does not exist, the kernel's IP header
// around it.
func rawTCP(flags byte) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			fd, err := o.open(a.Addr(), unix.SOCK_RAW, unix.IPPROTO_TCP)
			if err != nil {
				return err
			}
			return transmit(fd, tcpSegmentOf(flags)(o, a), netip.AddrPortFrom(a.Addr(), 0), false)
		})
	}
}

const claimed = 40000 // source port of segments that no socket has

func udpSegmentOf(o options, a netip.AddrPort) []byte {
	b := binary.BigEndian.AppendUint16(nil, claimed)
	b = binary.BigEndian.AppendUint16(b, a.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(o.payload)))
	return append(append(b, 0, 0), o.payload...) // no checksum
}

func tcpSegmentOf(flags byte) func(options, netip.AddrPort) []byte {
	return func(o options, a netip.AddrPort) []byte {
		b := binary.BigEndian.AppendUint16(nil, claimed)
		b = binary.BigEndian.AppendUint16(b, a.Port())
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 5<<4, flags, 4, 0, 0, 0, 0, 0)
		return append(b, o.payload...)
	}
}

func plain(o options, _ netip.AddrPort) []byte { return o.payload }

var forged = netip.AddrFrom4([4]byte{203, 0, 113, 9})

// header4 is an IPv4 header with options; what is zero the kernel fills in.
func header4(protocol byte, source, to netip.Addr, fragment uint16, options []byte) []byte {
	b := make([]byte, 20, 60)
	b[0] = 4<<4 | byte(5+len(options)/4)
	binary.BigEndian.PutUint16(b[4:], 0x5e14)
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8], b[9] = 64, protocol
	if source.IsValid() {
		copy(b[12:], source.AsSlice())
	}
	copy(b[16:], to.AsSlice())
	return append(b, options...)
}

// openHeaders makes a raw socket that is given whole packets.
func (o options) openHeaders(a netip.Addr) (int, error) {
	fd, err := o.open(a, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err == nil && a.Is6() {
		err = at("options", unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_HDRINCL, 1))
	}
	return fd, err
}

func header(protocol byte, segment func(options, netip.AddrPort) []byte, forge bool) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			fd, err := o.openHeaders(a.Addr())
			if err != nil {
				return err
			}
			var source netip.Addr
			if forge {
				source = forged
			}
			b := append(header4(protocol, source, a.Addr(), 0, nil), segment(o, a)...)
			return transmit(fd, b, netip.AddrPortFrom(a.Addr(), 0), false)
		})
	}
}

// headerOptions fills the header up with options that do nothing.
func headerOptions(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openHeaders(a.Addr())
		if err != nil {
			return err
		}
		nothing := make([]byte, 40)
		for i := range nothing {
			nothing[i] = 1
		}
		b := append(header4(unix.IPPROTO_UDP, netip.Addr{}, a.Addr(), 0, nothing), udpSegmentOf(o, a)...)
		return transmit(fd, b, netip.AddrPortFrom(a.Addr(), 0), false)
	})
}

// fragments sends a datagram in two pieces, the first as small as they get.
func fragments(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openHeaders(a.Addr())
		if err != nil {
			return err
		}
		whole := udpSegmentOf(o, a)
		const more = 0x2000
		first := append(header4(unix.IPPROTO_UDP, netip.Addr{}, a.Addr(), more, nil), whole[:8]...)
		if err := transmit(fd, first, netip.AddrPortFrom(a.Addr(), 0), false); err != nil {
			return err
		}
		rest := append(header4(unix.IPPROTO_UDP, netip.Addr{}, a.Addr(), 1, nil), whole[8:]...)
		return transmit(fd, rest, netip.AddrPortFrom(a.Addr(), 0), false)
	})
}

// fragmentRest sends a later piece alone, whose first bytes look like allowed ports.
func fragmentRest(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openHeaders(a.Addr())
		if err != nil {
			return err
		}
		b := append(header4(unix.IPPROTO_UDP, netip.Addr{}, a.Addr(), 3, nil), udpSegmentOf(o, a)...)
		return transmit(fd, b, netip.AddrPortFrom(a.Addr(), 0), false)
	})
}

// header60 is an IPv6 header without a length.
func header60(next byte, to netip.Addr) []byte {
	b := make([]byte, 40, 128)
	b[0], b[6], b[7] = 6<<4, next, 64
	copy(b[24:], to.AsSlice())
	return b
}

// send6 completes a packet of IPv6 and sends it; the kernel fills in no source here.
func (o options) send6(fd int, b []byte, a netip.AddrPort) error {
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	source, err := sourceFor(a)
	if err != nil {
		return at("source", err)
	}
	copy(b[8:], source.AsSlice())
	return transmit(fd, b, netip.AddrPortFrom(a.Addr(), 0), false)
}

// sourceFor asks the kernel which address would be used; nothing is sent for that.
func sourceFor(a netip.AddrPort) (netip.Addr, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 254)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sockaddr(netip.AddrPortFrom(a.Addr(), 0))); err != nil {
		return netip.Addr{}, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.AddrFrom16(name.(*unix.SockaddrInet6).Addr), nil
}

func header6(protocol byte, segment func(options, netip.AddrPort) []byte) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			fd, err := o.openHeaders(a.Addr())
			if err != nil {
				return err
			}
			return o.send6(fd, append(header60(protocol, a.Addr()), segment(o, a)...), a)
		})
	}
}

// header6Options puts six headers of options before the datagram.
func header6Options(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openHeaders(a.Addr())
		if err != nil {
			return err
		}
		b := header60(unix.IPPROTO_DSTOPTS, a.Addr())
		for i := range 6 {
			next := byte(unix.IPPROTO_DSTOPTS)
			if i == 5 {
				next = unix.IPPROTO_UDP
			}
			b = append(b, next, 0, 1, 4, 0, 0, 0, 0) // padding
		}
		return o.send6(fd, append(b, udpSegmentOf(o, a)...), a)
	})
}

// fragment6 is a fragment header; offset in bytes.
func fragment6(next byte, offset uint16, more bool) []byte {
	v := offset
	if more {
		v |= 1
	}
	b := binary.BigEndian.AppendUint16([]byte{next, 0}, v)
	return append(b, 0x5e, 0x14, 0x5e, 0x14)
}

func fragments6(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openHeaders(a.Addr())
		if err != nil {
			return err
		}
		whole := udpSegmentOf(o, a)
		first := append(append(header60(unix.IPPROTO_FRAGMENT, a.Addr()), fragment6(unix.IPPROTO_UDP, 0, true)...), whole[:8]...)
		if err := o.send6(fd, first, a); err != nil {
			return err
		}
		rest := append(append(header60(unix.IPPROTO_FRAGMENT, a.Addr()), fragment6(unix.IPPROTO_UDP, 8, false)...), whole[8:]...)
		return o.send6(fd, rest, a)
	})
}

// fragment6Rest sends a later piece alone, whose first bytes look like allowed ports.
func fragment6Rest(o options, to []netip.AddrPort) error {
	return each(to, func(a netip.AddrPort) error {
		fd, err := o.openHeaders(a.Addr())
		if err != nil {
			return err
		}
		b := append(header60(unix.IPPROTO_FRAGMENT, a.Addr()), fragment6(unix.IPPROTO_UDP, 24, false)...)
		return o.send6(fd, append(b, udpSegmentOf(o, a)...), a)
	})
}

// checksum is that of the internet (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}
		sum += word
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
