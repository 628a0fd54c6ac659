package ruleset

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Link is a network interface. The zero value is none.
type Link struct {
	Index int
	Name  string
	Type  uint16 // ARPHRD_
	Group uint32
	Kind  string // "veth", "bridge", …
}

// State is what connection tracking makes of a packet.
type State uint8

const (
	New State = iota
	Established
	Untracked
	Invalid // it belongs to nothing that was seen, and begins nothing
)

// Owner is the socket that a packet is of.
type Owner struct {
	Known    bool // it is a packet of a local socket that is known
	UID, GID uint32
	Cgroup   string // directory of its cgroup v2; empty: not known
}

// Packet is one packet as the rules see it. Ports of 0 are not known; the source port is
// then one of the range that programs are given.
type Packet struct {
	Src, Dst  netip.AddrPort
	Protocol  uint8
	Ephemeral [2]uint16 // the range that a port which isn't known is of
	State     State
	Answer    bool // it goes back to who began
	TCPFlags  uint8
	ICMPType  uint8 // 0: a ping or its answer
	In, Out   Link
	Owner     Owner
	Mark      uint32
	CTMark    uint32
	// First and its answers as connection tracking keeps them, before any translation.
	Begin, End netip.AddrPort

	// Rerouted: a rule changed the mark where the kernel then looks for the way anew.
	Rerouted bool

	translated uint8 // IPS_SRC_NAT and IPS_DST_NAT
	rewritten  bool  // a rule wrote into it: its bytes are not known any more
}

// Flags of TCP.
const (
	SYN = 0x02
	ACK = 0x10
)

// Family is IPv4 or IPv6.
func (p *Packet) Family() Family {
	if p.Dst.Addr().Is4() {
		return IPv4
	}
	return IPv6
}

// Diverted reports whether a rule sent the packet elsewhere.
func (p *Packet) Diverted() bool { return p.translated&dstNAT != 0 }

// port is a port in network byte order; one that isn't known is of the range that
// programs are given, if it is the one of who began.
func (p *Packet) port(n uint16, what string) value {
	if n != 0 {
		return known(byte(n>>8), byte(n))
	}
	if p.Ephemeral[1] == 0 || (what == "the source port") == p.Answer {
		return unknown(2, what)
	}
	return value{lo: binary.BigEndian.AppendUint16(nil, p.Ephemeral[0]), hi: binary.BigEndian.AppendUint16(nil, p.Ephemeral[1]), why: what}
}

// field is a part of a header from an offset on.
type field struct {
	at int
	value
}

// network are the fields of the network header.
func (p *Packet) network() []field {
	src, dst := known(p.Src.Addr().AsSlice()...), known(p.Dst.Addr().AsSlice()...)
	if p.Family() == IPv4 {
		return []field{
			{0, known(0x45)}, {1, known(0)}, {2, unknown(2, "the packet's length")}, {4, unknown(2, "the packet's number")},
			{6, p.fragment()}, {8, p.hops()}, {9, known(p.Protocol)}, {10, unknown(2, "the checksum")}, {12, src}, {16, dst},
		}
	}
	return []field{
		{0, known(0x60, 0)}, {2, unknown(2, "the flow label")}, {4, unknown(2, "the packet's length")},
		{6, known(p.Protocol)}, {7, p.hops()}, {8, src}, {24, dst},
	}
}

func (p *Packet) fragment() value {
	if p.Protocol == unix.IPPROTO_TCP {
		return known(0x40, 0)
	}
	return value{lo: []byte{0, 0}, hi: []byte{0x40, 0}, why: "whether it may be cut"}
}

// hops is the time to live, which is known where the packet sets out.
func (p *Packet) hops() value {
	if p.ICMPType == 135 || p.ICMPType == 136 {
		return known(255) // none may pass it on
	}
	if p.In.Index != 0 {
		return unknown(1, "the time to live")
	}
	file := "/proc/sys/net/ipv4/ip_default_ttl"
	if p.Family() == IPv6 {
		file = "/proc/sys/net/ipv6/conf/default/hop_limit"
	}
	if n := number(file); n > 0 && n < 256 {
		return known(byte(n))
	}
	return known(64)
}

func number(file string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n := 0
	for _, c := range strings.TrimSpace(string(b)) {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// transport are the fields of the transport header as far as they are known.
func (p *Packet) transport() []field {
	switch p.Protocol {
	case unix.IPPROTO_TCP:
		return []field{
			{0, p.port(p.Src.Port(), "the source port")}, {2, p.port(p.Dst.Port(), "the destination port")},
			{4, unknown(8, "the sequence number")}, {12, unknown(1, "the header's length")}, {13, known(p.TCPFlags)},
			{14, unknown(2, "the window")}, {16, unknown(2, "the checksum")}, {18, known(0, 0)},
		}
	case unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE:
		return []field{
			{0, p.port(p.Src.Port(), "the source port")}, {2, p.port(p.Dst.Port(), "the destination port")},
			{4, unknown(2, "the packet's length")}, {6, unknown(2, "the checksum")},
		}
	case unix.IPPROTO_SCTP, unix.IPPROTO_DCCP:
		return []field{{0, p.port(p.Src.Port(), "the source port")}, {2, p.port(p.Dst.Port(), "the destination port")}}
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return []field{{0, known(p.echo(), 0)}}
	}
	return nil
}

// echo is the type of ICMP.
func (p *Packet) echo() byte {
	switch {
	case p.ICMPType != 0:
		return p.ICMPType
	case p.Protocol == unix.IPPROTO_ICMP && !p.Answer:
		return 8
	case p.Protocol == unix.IPPROTO_ICMP:
		return 0
	case !p.Answer:
		return 128
	}
	return 129
}

// part cuts n bytes out of a header; what no field covers is not known.
func part(fields []field, from, n int) value {
	var v value
	for len(v.lo) < n {
		at := from + len(v.lo)
		one := unknown(1, "the packet's content")
		for _, f := range fields {
			if at < f.at || at >= f.at+len(f.lo) {
				continue
			}
			if f.at >= from && f.at+len(f.lo) <= from+n && at == f.at {
				one = f.value // the whole field: its bounds hold
			} else if f.isKnown() {
				one = f.slice(at-f.at, 1)
			} else {
				one = unknown(1, f.why)
			}
			break
		}
		v.lo, v.hi = append(v.lo, one.lo...), append(v.hi, one.hi...)
		if one.why != "" {
			v.why = one.why
		}
	}
	return v
}
