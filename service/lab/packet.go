package lab

import (
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sekisho/app/flow"
)

// Packet is one packet that a Wire saw. Src and Dst have port 0 where the protocol
// has none.
type Packet struct {
	Time     time.Time // the kernel's
	Leaving  bool      // sent by the host whose wire it is, not received
	Src, Dst netip.AddrPort
	Protocol flow.Protocol
	// TCP flags.
	SYN, ACK, FIN, RST bool
	Payload            []byte // of TCP, UDP and UDP-Lite
	Body               []byte // all that is behind the IP header
}

// parsePacket reads an Ethernet frame; what is not IP is not ok. A packet that calls itself
// IP and cannot be read has no more than a body.
func parsePacket(frame []byte) (Packet, bool) {
	decoded := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	var p Packet
	var src, dst netip.Addr
	switch ip := decoded.NetworkLayer().(type) {
	case *layers.IPv4:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		p.Protocol, p.Body = flow.Protocol(ip.Protocol), ip.LayerPayload()
	case *layers.IPv6:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		p.Protocol, p.Body = flow.Protocol(ip.NextHeader), ip.LayerPayload()
	default:
		link, ok := decoded.LinkLayer().(*layers.Ethernet)
		broken := ok && (link.EthernetType == layers.EthernetTypeIPv4 || link.EthernetType == layers.EthernetTypeIPv6)
		if !broken {
			return Packet{}, false
		}
		p.Body = link.LayerPayload()
		return p, true
	}
	var from, to uint16
	switch t := decoded.TransportLayer().(type) {
	case *layers.TCP:
		from, to = uint16(t.SrcPort), uint16(t.DstPort)
		p.Protocol, p.SYN, p.ACK, p.FIN, p.RST, p.Payload = flow.TCP, t.SYN, t.ACK, t.FIN, t.RST, t.Payload
	case *layers.UDP:
		from, to = uint16(t.SrcPort), uint16(t.DstPort)
		p.Protocol, p.Payload = flow.UDP, t.Payload
	case *layers.UDPLite:
		from, to = uint16(t.SrcPort), uint16(t.DstPort)
		p.Protocol, p.Payload = flow.UDPLite, t.Payload
	}
	p.Src, p.Dst = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
	return p, true
}

// Match chooses packets.
type Match func(Packet) bool

// SYN matches the first packet of a TCP connection to an address and port.
func SYN(to netip.AddrPort) Match {
	return func(p Packet) bool { return p.Protocol == flow.TCP && p.SYN && !p.ACK && p.Dst == to }
}

// Datagram matches UDP packets to an address and port.
func Datagram(to netip.AddrPort) Match {
	return func(p Packet) bool { return p.Protocol == flow.UDP && p.Dst == to }
}

// To matches packets of any kind to an address.
func To(addr netip.Addr) Match {
	return func(p Packet) bool { return p.Dst.Addr() == addr }
}

// From narrows a match to packets from an address.
func (m Match) From(addr netip.Addr) Match {
	return func(p Packet) bool { return p.Src.Addr() == addr && m(p) }
}

// FromPort narrows a match to packets from a port.
func (m Match) FromPort(port uint16) Match {
	return func(p Packet) bool { return p.Src.Port() == port && m(p) }
}
