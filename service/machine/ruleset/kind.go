package ruleset

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// kind says how a value is written.
type kind int

const (
	hexadecimal kind = iota
	number8
	number16 // in network byte order
	twoPorts
	number32 // in the host's byte order
	address
	address6 // of which there may be the first bytes only
	interfaceName
	protocol
	networkProtocol
	connState
	connStatus
	connDirection
	tcpFlags
	packetKind
	addressType
	etherKind
	turnedNumber // a number that was put into network byte order
	prefixes     // addressOf(n) is prefixes+n
)

// addressOf is an address of which the first n bits count.
func addressOf(n int) kind { return prefixes + kind(n) }

func (k kind) isAddress() bool { return k == address || k == address6 }

func (k kind) isBits() bool { return k == connState || k == connStatus || k == tcpFlags }

func turned(t term) term {
	if t.kind == number32 {
		t.kind = turnedNumber
	}
	return t
}

var bitNames = map[kind][]string{
	connState:  {"invalid", "established", "related", "new", "", "", "untracked"},
	connStatus: {"expected", "seen-reply", "assured", "confirmed", "snat", "dnat"},
	tcpFlags:   {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"},
}

var addressTypes = []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit"}

func (k kind) format(b []byte) string {
	switch {
	case k == number8 && len(b) == 1:
		return fmt.Sprint(b[0])
	case k == number16 && len(b) == 2:
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case k == number32 && len(b) == 4:
		return fmt.Sprint(binary.NativeEndian.Uint32(b))
	case k == number32 && len(b) == 8:
		return fmt.Sprint(binary.NativeEndian.Uint64(b))
	case k == number32 && len(b) == 2:
		return fmt.Sprint(binary.NativeEndian.Uint16(b))
	case k == number32 && len(b) == 1:
		return fmt.Sprint(b[0])
	case k == turnedNumber && len(b) == 4:
		return fmt.Sprint(binary.BigEndian.Uint32(b))
	case k.isAddress() || k >= prefixes:
		return k.address(b)
	case k == interfaceName:
		if len(b) < unix.IFNAMSIZ { // a name that ends in *
			return fmt.Sprintf("%q", string(b)+"*")
		}
		return fmt.Sprintf("%q", zeroEnded(b))
	case k == protocol && len(b) == 1:
		return protocolName(b[0])
	case k == networkProtocol && len(b) == 1:
		return map[Family]string{IPv4: "ipv4", IPv6: "ipv6"}[Family(b[0])]
	case k == connDirection && len(b) == 1:
		return []string{"original", "reply"}[b[0]&1]
	case k == addressType && len(b) == 4:
		if n := binary.NativeEndian.Uint32(b); int(n) < len(addressTypes) {
			return addressTypes[n]
		}
	case k == etherKind && len(b) == 2:
		if n := binary.BigEndian.Uint16(b); n == 0x86dd {
			return "ip6"
		} else if n == 0x0800 {
			return "ip"
		}
	case k == packetKind && len(b) == 1 && b[0] < 4:
		return []string{"host", "broadcast", "multicast", "other"}[b[0]]
	case k.isBits():
		return k.bits(b)
	}
	return k.hex(b)
}

func (k kind) address(b []byte) string {
	n := len(b)
	full := 4
	if n > 4 || k == address6 {
		full = 16
	}
	a, ok := netip.AddrFromSlice(append(append([]byte(nil), b...), make([]byte, full-n)...))
	switch {
	case !ok:
		return k.hex(b)
	case k >= prefixes:
		return fmt.Sprintf("%s/%d", a, int(k-prefixes))
	case n < full: // a prefix that ends with a byte is compared by its first bytes
		return fmt.Sprintf("%s/%d", a, 8*n)
	}
	return a.String()
}

func (k kind) bits(b []byte) string {
	var n uint32
	if len(b) == 4 {
		n = binary.NativeEndian.Uint32(b)
	} else if len(b) == 1 {
		n = uint32(b[0])
	}
	var names []string
	for i, name := range bitNames[k] {
		if n&(1<<i) != 0 && name != "" {
			names = append(names, name)
			n &^= 1 << i
		}
	}
	if n != 0 || len(names) == 0 {
		return k.hex(b)
	}
	return strings.Join(names, ",")
}

// hex is a number in the host's byte order where that is what it is.
func (k kind) hex(b []byte) string {
	switch {
	case k == number32 && len(b) == 4 || k.isBits() && len(b) == 4:
		return fmt.Sprintf("0x%x", binary.NativeEndian.Uint32(b))
	case len(b) == 0:
		return "0x0"
	}
	return "0x" + hex.EncodeToString(b)
}

func protocolName(n byte) string {
	if s := flow.Protocol(n).String(); s != "" {
		return s
	}
	return fmt.Sprint(n)
}

var metaNames = map[uint32]term{
	unix.NFT_META_BRI_IIFNAME: {text: "ibrname", kind: interfaceName}, unix.NFT_META_BRI_OIFNAME: {text: "obrname", kind: interfaceName},
	unix.NFT_META_LEN: {text: "length", kind: number32}, unix.NFT_META_PROTOCOL: {text: "protocol", kind: etherKind},
	unix.NFT_META_PRIORITY: {text: "priority"}, unix.NFT_META_MARK: {text: "mark", kind: number32},
	unix.NFT_META_IIF: {text: "iif", kind: number32}, unix.NFT_META_OIF: {text: "oif", kind: number32},
	unix.NFT_META_IIFNAME: {text: "iifname", kind: interfaceName}, unix.NFT_META_OIFNAME: {text: "oifname", kind: interfaceName},
	unix.NFT_META_IIFTYPE: {text: "iiftype", kind: number32}, unix.NFT_META_OIFTYPE: {text: "oiftype", kind: number32},
	unix.NFT_META_SKUID: {text: "skuid", kind: number32}, unix.NFT_META_SKGID: {text: "skgid", kind: number32},
	unix.NFT_META_NFTRACE: {text: "nftrace", kind: number8}, unix.NFT_META_NFPROTO: {text: "nfproto", kind: networkProtocol},
	unix.NFT_META_L4PROTO: {text: "l4proto", kind: protocol}, unix.NFT_META_PKTTYPE: {text: "pkttype", kind: packetKind},
	unix.NFT_META_CPU: {text: "cpu", kind: number32}, unix.NFT_META_IIFGROUP: {text: "iifgroup", kind: number32},
	unix.NFT_META_OIFGROUP: {text: "oifgroup", kind: number32}, unix.NFT_META_CGROUP: {text: "cgroup", kind: number32},
	unix.NFT_META_PRANDOM: {text: "random", kind: number32}, metaSecPath: {text: "secpath"},
	metaIifKind: {text: "iifkind", kind: interfaceName}, metaOifKind: {text: "oifkind", kind: interfaceName},
	30: {text: "time"}, 31: {text: "day", kind: number8}, 32: {text: "hour", kind: number32},
}

var ctNames = map[uint32]term{
	ctState: {text: "state", kind: connState}, ctDirection: {text: "direction", kind: connDirection},
	ctStatus: {text: "status", kind: connStatus}, ctMark: {text: "mark", kind: number32}, ctSecmark: {text: "secmark"},
	ctExpiration: {text: "expiration", kind: number32}, ctHelper: {text: "helper", kind: interfaceName},
	ctL3Protocol: {text: "l3proto", kind: networkProtocol}, ctSrc: {text: "saddr", kind: address}, ctDst: {text: "daddr", kind: address},
	ctProtocol: {text: "protocol", kind: protocol}, ctProtoSrc: {text: "proto-src", kind: number16}, ctProtoDst: {text: "proto-dst", kind: number16},
	13: {text: "labels"}, ctZone: {text: "zone", kind: number32}, ctSrcIP: {text: "ip saddr", kind: address}, ctDstIP: {text: "ip daddr", kind: address},
	ctSrc6: {text: "ip6 saddr", kind: address6}, ctDst6: {text: "ip6 daddr", kind: address6},
}

type place struct{ base, from, len int }

var ip4Fields = map[place]term{
	{1, 2, 2}: {text: "length", kind: number16}, {1, 6, 2}: {text: "frag-off"}, {1, 8, 1}: {text: "ttl", kind: number8}, {1, 9, 1}: {text: "protocol", kind: protocol},
}

var ip6Fields = map[place]term{
	{1, 4, 2}: {text: "length", kind: number16}, {1, 6, 1}: {text: "nexthdr", kind: protocol}, {1, 7, 1}: {text: "hoplimit", kind: number8},
}

// fieldTerm names a part of a header. Prefixes of whole bytes are loaded as so many.
func fieldTerm(base uint32, from, n int, network, transport string) (term, bool) {
	if base == transportHeader {
		switch (place{2, from, n}) {
		case place{2, 0, 2}:
			return term{text: transport + " sport", kind: number16}, true
		case place{2, 2, 2}:
			return term{text: transport + " dport", kind: number16}, true
		case place{2, 0, 4}:
			return term{text: transport + " sport . " + transport + " dport", kind: twoPorts}, true
		case place{2, 13, 1}:
			return term{text: "tcp flags", kind: tcpFlags}, true
		case place{2, 0, 1}:
			return term{text: "icmp type", kind: number8}, true
		}
		return term{}, false
	}
	if base == linkLayer && from == 12 && n == 2 {
		return term{text: "ether type", kind: etherKind}, true
	}
	if base != networkHeader {
		return term{}, false
	}
	fields, src, dst, size, k := ip4Fields, 12, 16, 4, address
	if network == "ip6" {
		fields, src, dst, size, k = ip6Fields, 8, 24, 16, address6
	}
	if t, ok := fields[place{1, from, n}]; ok {
		t.text = network + " " + t.text
		return t, true
	}
	switch {
	case from == src && n <= size:
		return term{text: network + " saddr", kind: k}, true
	case from == dst && n <= size:
		return term{text: network + " daddr", kind: k}, true
	}
	return term{}, false
}
