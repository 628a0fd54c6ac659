package names

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// port is where DNS servers answer.
const port = 53

var (
	// ErrNotDNS means that the packet is no DNS message over UDP, or a later fragment
	// of one.
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
	m, q, err := message(payload, true)
	if err != nil {
		return Reply{}, err
	}
	q.Client, q.Server = dst, src
	r = Reply{Query: q, Code: uint8(m.ResponseCode), Truncated: m.TC}
	r.Answer = Answer{Question: q.Question}
	if m.ResponseCode == layers.DNSResponseCodeNoErr {
		r.Answer = follow(q.Question, m.Answers)
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
	_, q, err = message(payload, false)
	q.Client, q.Server = src, dst
	if err != nil {
		return Query{}, err
	}
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

// message decodes the header, the question and, for a reply, the answers. The other
// sections are left alone: nothing in them counts.
func message(payload []byte, reply bool) (*layers.DNS, Query, error) {
	own, err := trim(payload, reply)
	if err != nil {
		return nil, Query{}, err
	}
	var m layers.DNS
	if err := m.DecodeFromBytes(own, gopacket.NilDecodeFeedback); err != nil {
		return nil, Query{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case m.QR != reply:
		return nil, Query{}, fmt.Errorf("%w: query where a reply was expected, or the other way round", ErrNotDNS)
	case m.OpCode != layers.DNSOpCodeQuery:
		return nil, Query{}, fmt.Errorf("%w: %v", ErrNotDNS, m.OpCode)
	case len(m.Questions) != 1:
		return nil, Query{}, fmt.Errorf("%w: %d questions", ErrMalformed, len(m.Questions))
	}
	q := m.Questions[0]
	if q.Class != layers.DNSClassIN {
		return nil, Query{}, fmt.Errorf("%w: class %v", ErrNotDNS, q.Class)
	}
	return &m, Query{ID: m.ID, Question: lower(q.Name), Type: uint16(q.Type)}, nil
}

func lower(name []byte) string { return strings.ToLower(string(name)) }

// follow walks from the question along its aliases to the addresses.
func follow(question string, records []layers.DNSResourceRecord) Answer {
	a := Answer{Question: question}
	owners := make([]string, len(records))
	for i := range records {
		owners[i] = lower(records[i].Name)
	}
	owner, ttl := question, uint32(math.MaxUint32)
	for range maxChain {
		next := ""
		for i := range records {
			rr := &records[i]
			if rr.Class != layers.DNSClassIN || owners[i] != owner {
				continue
			}
			switch {
			case rr.Type == layers.DNSTypeCNAME && next == "":
				next = lower(rr.CNAME)
			case rr.Type == layers.DNSTypeA && len(rr.IP) == 4, rr.Type == layers.DNSTypeAAAA && len(rr.IP) == 16:
				ip, _ := netip.AddrFromSlice(rr.IP)
				a.Addrs = append(a.Addrs, ip.Unmap())
			default:
				continue
			}
			ttl = min(ttl, rr.TTL)
		}
		// An owner with addresses has no alias (RFC 1034, 3.6.2).
		if next == "" || len(a.Addrs) > 0 || next == question || slices.Contains(a.Chain, next) {
			break
		}
		a.Chain = append(a.Chain, next)
		owner = next
	}
	if len(a.Addrs) > 0 {
		a.TTL = time.Duration(ttl) * time.Second
	}
	return a
}
