package stream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var (
	// ErrNotTCP means that a packet is none of TCP, or a fragment, or in a tunnel.
	ErrNotTCP = errors.New("not TCP")
	// ErrMalformed means that its headers are broken.
	ErrMalformed = errors.New("malformed packet")
)

// Segment is a packet of TCP.
type Segment struct {
	Src, Dst           netip.AddrPort
	Seq, Ack           uint32 // Seq is that of the first byte of Payload, also where SYN is set
	SYN, ACK, FIN, RST bool
	Payload            []byte // within the packet
	Cut                bool   // the packet was longer than what there is of it
}

// Parse reads a raw IPv4 or IPv6 packet, beginning at its network header. Errors wrap
// ErrNotTCP or ErrMalformed; no packet panics.
func Parse(packet []byte) (s Segment, err error) {
	defer func() {
		if p := recover(); p != nil { // hostile packets have made the library read past their end
			s, err = Segment{}, fmt.Errorf("%w: %v", ErrMalformed, p)
		}
	}()
	if len(packet) == 0 {
		return Segment{}, fmt.Errorf("%w: empty packet", ErrNotTCP)
	}
	var (
		ip4     layers.IPv4
		ip6     layers.IPv6
		skip    layers.IPv6ExtensionSkipper
		tcp     layers.TCP
		decoded []gopacket.LayerType
	)
	first := layers.LayerTypeIPv4
	switch packet[0] >> 4 {
	case 4:
	case 6:
		first = layers.LayerTypeIPv6
	default:
		return Segment{}, fmt.Errorf("%w: IP version %d", ErrNotTCP, packet[0]>>4)
	}
	parser := gopacket.NewDecodingLayerParser(first, &ip4, &ip6, &skip, &tcp)
	parser.IgnorePanic = true // it is recovered above
	parser.IgnoreUnsupported = true
	if err := parser.DecodeLayers(packet, &decoded); err != nil {
		return Segment{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !direct(decoded) {
		return Segment{}, fmt.Errorf("%w: another protocol, a fragment or a tunnel", ErrNotTCP)
	}
	from, to := ip4.SrcIP, ip4.DstIP
	if first == layers.LayerTypeIPv6 {
		from, to = ip6.SrcIP, ip6.DstIP
	}
	s = Segment{
		Src: addrPort(from, tcp.SrcPort), Dst: addrPort(to, tcp.DstPort),
		Seq: tcp.Seq, Ack: tcp.Ack, SYN: tcp.SYN, ACK: tcp.ACK, FIN: tcp.FIN, RST: tcp.RST,
		Payload: tcp.Payload, Cut: parser.Truncated,
	}
	if s.SYN {
		s.Seq++
	}
	return s, nil
}

// direct reports whether the layers are one IP header, whole, and TCP.
func direct(decoded []gopacket.LayerType) bool {
	if len(decoded) < 2 || decoded[len(decoded)-1] != layers.LayerTypeTCP {
		return false
	}
	for _, t := range decoded[1 : len(decoded)-1] {
		switch t {
		case layers.LayerTypeIPv6HopByHop, layers.LayerTypeIPv6Routing, layers.LayerTypeIPv6Destination:
		default:
			return false
		}
	}
	return true
}

func addrPort(ip net.IP, p layers.TCPPort) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(p))
}
