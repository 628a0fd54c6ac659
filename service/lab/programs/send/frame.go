package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Frames that are written to the link itself, beneath IP.
var _ = add(map[string]call{
	"frame":        frames(unix.SOCK_DGRAM, 0, ipFrame(unix.IPPROTO_UDP, udpSegmentOf)),
	"frame-tcp":    frames(unix.SOCK_DGRAM, 0, ipFrame(unix.IPPROTO_TCP, tcpSegmentOf(2))),
	"frame-icmp":   frames(unix.SOCK_DGRAM, 0, ipFrame(unix.IPPROTO_ICMP, plain)),
	"frame-raw":    frames(unix.SOCK_RAW, 0, ethernet(ipFrame(unix.IPPROTO_UDP, udpSegmentOf))),
	"frame-lie":    frames(unix.SOCK_RAW, unix.ETH_P_ARP, ethernet(ipFrame(unix.IPPROTO_UDP, udpSegmentOf))),
	"frame-vlan":   frames(unix.SOCK_RAW, 0, ethernet(ipFrame(unix.IPPROTO_UDP, udpSegmentOf), 0x8100)),
	"frame-vlans":  frames(unix.SOCK_RAW, 0, ethernet(ipFrame(unix.IPPROTO_UDP, udpSegmentOf), 0x88a8, 0x8100, 0x8100)),
	"frame-cut":    frames(unix.SOCK_RAW, 0, ethernet(cut)),
	"frame-other":  frames(unix.SOCK_RAW, 0, other),
	"frame-dhcp":   frames(unix.SOCK_DGRAM, 0, ipFrame(unix.IPPROTO_UDP, dhcpSegmentOf)),
	"frame-bypass": frames(unix.SOCK_DGRAM, 0, ipFrame(unix.IPPROTO_UDP, udpSegmentOf), bypass),
	"frame-ring":   frameRing,
	"frame-xdp":    xdp,
})

// bypass has frames go straight to the device's driver.
func bypass(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
}

type framed func(o options, a netip.AddrPort) []byte

// ipFrame is a whole packet.
func ipFrame(protocol byte, segment func(options, netip.AddrPort) []byte) framed {
	return func(o options, a netip.AddrPort) []byte {
		if a.Addr().Is6() {
			if protocol == unix.IPPROTO_ICMP {
				protocol = unix.IPPROTO_ICMPV6
			}
			b := append(header60(protocol, a.Addr()), segment(o, a)...)
			binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
			return b
		}
		b := append(header4(protocol, forged, a.Addr(), 0, nil), segment(o, a)...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
		return b
	}
}

func dhcpSegmentOf(o options, _ netip.AddrPort) []byte {
	b := []byte{0, 68, 0, 67, 0, byte(8 + len(o.payload)), 0, 0}
	return append(b, o.payload...)
}

// cut begins like IP and ends at once.
func cut(o options, _ netip.AddrPort) []byte { return append([]byte{0x45}, o.payload...) }

func etherType(a netip.AddrPort) uint16 {
	if a.Addr().Is6() {
		return unix.ETH_P_IPV6
	}
	return unix.ETH_P_IP
}

// ethernet puts Ethernet's header and tags around a packet.
func ethernet(packet framed, tags ...uint16) framed {
	return func(o options, a netip.AddrPort) []byte {
		b := []byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1}
		for _, t := range tags {
			b = append(binary.BigEndian.AppendUint16(b, t), 0, 1)
		}
		return append(binary.BigEndian.AppendUint16(b, etherType(a)), packet(o, a)...)
	}
}

// other is a frame of a protocol that nobody knows.
func other(o options, _ netip.AddrPort) []byte {
	return append([]byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, o.payload...)
}

func linkOf(o options, protocol uint16) (*unix.SockaddrLinklayer, error) {
	link, err := net.InterfaceByName(o.device)
	if err != nil {
		return nil, at("link", err)
	}
	p := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol))
	return &unix.SockaddrLinklayer{Protocol: p, Ifindex: link.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}, nil
}

// frames sends what f makes; protocol 0 is the destination's.
func frames(kind int, protocol uint16, f framed, prepare ...func(fd int) error) call {
	return func(o options, to []netip.AddrPort) error {
		fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return at("socket", err)
		}
		for _, p := range prepare {
			if err := p(fd); err != nil {
				return at("options", err)
			}
		}
		return each(to, func(a netip.AddrPort) error {
			p := protocol
			if p == 0 {
				p = etherType(a)
			}
			link, err := linkOf(o, p)
			if err != nil {
				return err
			}
			return at("send", unix.Sendto(fd, f(o, a), 0, link))
		})
	}
}

// frameRing sends through memory that the program shares with the kernel.
func frameRing(o options, to []netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at("socket", err)
	}
	const size = 4096
	// struct tpacket_req: one block of one frame
	r := [4]uint32{size, 1, size, 1}
	if err := unix.SetsockoptString(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, string(unsafe.Slice((*byte)(unsafe.Pointer(&r)), 16))); err != nil {
		return at("options", err)
	}
	ring, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return at("ring", err)
	}
	return each(to, func(a netip.AddrPort) error {
		link, err := linkOf(o, etherType(a))
		if err != nil {
			return err
		}
		// struct tpacket_hdr: status, length; the frame begins where sockaddr_ll would
		n := copy(ring[32:], ethernet(ipFrame(unix.IPPROTO_UDP, udpSegmentOf))(o, a))
		*(*uint32)(unsafe.Pointer(&ring[8])) = uint32(n)
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&ring[0])), 1) // TP_STATUS_SEND_REQUEST
		return at("send", unix.Sendto(fd, nil, 0, link))
	})
}

// xdp asks for memory from which frames go straight to the driver.
func xdp(options, []netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at("socket", err)
	}
	memory, err := unix.Mmap(-1, 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return at("memory", err)
	}
	// struct xdp_umem_reg: address, length, chunk size, headroom
	r := struct {
		addr, len   uint64
		chunk, room uint32
		flags, meta uint32
	}{address(memory), uint64(len(memory)), 4096, 0, 0, 0}
	return at("options", unix.SetsockoptString(fd, unix.SOL_XDP, unix.XDP_UMEM_REG, string(unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)))))
}
