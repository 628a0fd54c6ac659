package names

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// port is where DNS servers answer.
const port = 53

var (
	// ErrNotDNS means that the packet is no DNS message that is expected there, or a later
	// fragment of one.
	ErrNotDNS = errors.New("not a DNS message")
	// ErrMalformed means that the message breaks the format, or a bound that no honest
	// message comes near.
	ErrMalformed = errors.New("malformed DNS message")
)

// Query is a question on its way to a server.
type Query struct {
	Client, Server netip.AddrPort
	ID             uint16
	Question       string // lower case, without the last dot
	Type           uint16 // RR type: 1 A, 28 AAAA, 65 HTTPS
}

// Reply is a server's answer. Answer is what follows from its question; an answer that
// names no address has none in Addrs.
type Reply struct {
	Query
	Code      uint8 // response code without the extended bits: 0 no error, 3 no such name
	Truncated bool  // the server says that the answer did not fit
	Answer    Answer
}

// Decode reads a raw IPv4 or IPv6 packet, beginning at its network header, that comes
// from UDP port 53. Of the records in the answer section only those count that follow
// from the question: its own addresses, its alias, that alias's addresses, and so on.
// Records with another owner, and the other sections, are ignored: they may be there
// to plant a name. Errors wrap ErrNotDNS or ErrMalformed; no packet panics.
func Decode(packet []byte) (r Reply, err error) {
	defer recovered(&err)
	src, dst, payload, err := datagram(packet)
	if err != nil {
		return Reply{}, err
	}
	if src.Port() != port {
		return Reply{}, fmt.Errorf("%w: from port %d", ErrNotDNS, src.Port())
	}
	if r, err = decodeReply(payload); err != nil {
		return Reply{}, err
	}
	r.Client, r.Server = dst, src
	return r, nil
}

// decodeReply reads a reply without the headers of the network.
func decodeReply(payload []byte) (r Reply, err error) {
	var records []resource
	if r.Query, r.Code, r.Truncated, records, err = message(payload, true); err != nil {
		return Reply{}, err
	}
	r.Answer = Answer{Question: serviceHost(r.Question, r.Type)}
	if r.Code == noError {
		r.Answer = follow(r.Query, records)
	}
	return r, nil
}

// DecodeQuery reads a raw IPv4 or IPv6 packet that goes to UDP port 53. Errors are
// those of Decode.
func DecodeQuery(packet []byte) (q Query, err error) {
	defer recovered(&err)
	src, dst, payload, err := datagram(packet)
	if err != nil {
		return Query{}, err
	}
	if dst.Port() != port {
		return Query{}, fmt.Errorf("%w: to port %d", ErrNotDNS, dst.Port())
	}
	if q, _, _, _, err = message(payload, false); err != nil {
		return Query{}, err
	}
	q.Client, q.Server = src, dst
	return q, nil
}

// recovered turns a panic of the decoding library into an error: hostile packets have
// made it read past their end.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", ErrMalformed, p)
	}
}

// datagram takes the network and transport layers off a packet.
func datagram(packet []byte) (src, dst netip.AddrPort, payload []byte, err error) {
	if len(packet) == 0 {
		return src, dst, nil, fmt.Errorf("%w: empty packet", ErrNotDNS)
	}
	var (
		ip4     layers.IPv4
		ip6     layers.IPv6
		skip    layers.IPv6ExtensionSkipper
		udp     layers.UDP
		decoded []gopacket.LayerType
	)
	first := layers.LayerTypeIPv4
	switch packet[0] >> 4 {
	case 4:
	case 6:
		first = layers.LayerTypeIPv6
	default:
		return src, dst, nil, fmt.Errorf("%w: IP version %d", ErrNotDNS, packet[0]>>4)
	}
	parser := gopacket.NewDecodingLayerParser(first, &ip4, &ip6, &skip, &udp)
	parser.IgnorePanic = true // it is recovered in Decode
	parser.IgnoreUnsupported = true
	if err := parser.DecodeLayers(packet, &decoded); err != nil {
		return src, dst, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !direct(decoded) {
		return src, dst, nil, fmt.Errorf("%w: no UDP, a fragment or a tunnel", ErrNotDNS)
	}
	if int(udp.Length) > len(udp.Payload)+8 {
		return src, dst, nil, fmt.Errorf("%w: the packet is cut off", ErrMalformed)
	}
	from, to := ip4.SrcIP, ip4.DstIP
	if first == layers.LayerTypeIPv6 {
		from, to = ip6.SrcIP, ip6.DstIP
	}
	return addrPort(from, udp.SrcPort), addrPort(to, udp.DstPort), udp.Payload, nil
}

// direct reports whether the layers are one IP header, whole, and UDP. The parser would
// follow a packet within a packet too, whose sender is not the one that it came from,
// and take the inside of a later fragment for a header.
func direct(decoded []gopacket.LayerType) bool {
	if len(decoded) < 2 || decoded[len(decoded)-1] != layers.LayerTypeUDP {
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

func addrPort(ip net.IP, p layers.UDPPort) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(p))
}
