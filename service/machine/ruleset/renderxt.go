package ruleset

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

var icmpCodes = map[Family][]string{
	IPv4: {"net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "", "", "", "", "", "net-prohibited", "host-prohibited", "", "", "admin-prohibited"},
	IPv6: {"no-route", "admin-prohibited", "", "addr-unreachable", "port-unreachable"},
	INet: {"no-route", "port-unreachable", "host-unreachable", "admin-prohibited"},
}

func rejectText(kind, code uint32, f Family) string {
	const tcpReset, icmpx = 1, 2
	name := "icmp"
	switch {
	case kind == tcpReset:
		return "reject with tcp reset"
	case kind == icmpx:
		f, name = INet, "icmpx"
	case f == IPv6:
		name = "icmpv6"
	case f == INet:
		f = IPv4
	}
	if names := icmpCodes[f]; int(code) < len(names) && names[code] != "" {
		return fmt.Sprintf("reject with %s %s", name, names[code])
	}
	return fmt.Sprintf("reject with %s %d", name, code)
}

func limitText(a attrs) string {
	rate, unit := a.number(unix.NFTA_LIMIT_RATE), a.number(unix.NFTA_LIMIT_UNIT)
	per := map[uint64]string{1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}[unit]
	if per == "" {
		per = fmt.Sprintf("%d seconds", unit)
	}
	over := ""
	if a.u32(unix.NFTA_LIMIT_FLAGS)&1 != 0 {
		over = "over "
	}
	return fmt.Sprintf("limit rate %s%d/%s", over, rate, per)
}

// text is a match of iptables as nft would write it.
func (m extension) text(f Family) string {
	x := m.info
	switch m.name {
	case "comment":
		return ""
	case "tcp":
		return joinWords(portText("tcp sport", x.u16(0), x.u16(2), x.u8(11)&1 != 0), portText("tcp dport", x.u16(4), x.u16(6), x.u8(11)&2 != 0), flagsText(x))
	case "udp", "udplite":
		return joinWords(portText(m.name+" sport", x.u16(0), x.u16(2), x.u8(8)&1 != 0), portText(m.name+" dport", x.u16(4), x.u16(6), x.u8(8)&2 != 0))
	case "multiport":
		return m.multiportText()
	case "icmp", "icmp6":
		return fmt.Sprintf("icmp type %s%d", not(x.u8(3)&1 != 0), x.u8(0))
	case "state":
		return "ct state " + xtStates(x.u32(0))
	case "conntrack":
		return m.conntrackText()
	case "mark", "connmark":
		name := map[string]string{"mark": "meta", "connmark": "ct"}[m.name]
		return fmt.Sprintf("%s mark & 0x%x %s0x%x", name, x.u32(4), not(x.u8(8) != 0), x.u32(0))
	case "owner":
		return m.ownerText()
	case "addrtype":
		return m.addrTypeText()
	case "iprange":
		return m.ipRangeText(f)
	}
	return "xt match " + m.name
}

func (m extension) targetText(f Family) string {
	switch m.name {
	case "REJECT":
		codes := []string{"net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "echo-reply", "net-prohibited", "host-prohibited", "tcp reset", "admin-prohibited"}
		if f == IPv6 {
			codes = []string{"no-route", "admin-prohibited", "not-neighbour", "addr-unreachable", "port-unreachable", "echo-reply", "tcp reset", "policy-fail", "reject-route"}
		}
		if n := m.info.u32(0); int(n) < len(codes) {
			return "reject with " + codes[n]
		}
	case "LOG":
		return fmt.Sprintf("log prefix %q", zeroEnded(m.info.bytes(2, 30)))
	case "MARK":
		return fmt.Sprintf("meta mark set 0x%x/0x%x", m.info.u32(0), m.info.u32(4))
	case "NFQUEUE":
		return fmt.Sprintf("queue num %d", m.info.u16(0))
	case "MASQUERADE":
		return "masquerade"
	case "DNAT", "SNAT", "REDIRECT":
		return strings.ToLower(m.name)
	}
	return "xt target " + m.name
}

func joinWords(words ...string) string {
	var all []string
	for _, s := range words {
		if s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, " ")
}

func not(b bool) string {
	if b {
		return "!= "
	}
	return ""
}

func portText(name string, from, to uint16, inverted bool) string {
	switch {
	case from == 0 && to == 0xffff:
		return ""
	case from == to:
		return fmt.Sprintf("%s %s%d", name, not(inverted), from)
	}
	return fmt.Sprintf("%s %s%d-%d", name, not(inverted), from, to)
}

func flagsText(x xt) string {
	if x.u8(9) == 0 {
		return ""
	}
	op := "== "
	if x.u8(11)&4 != 0 {
		op = "!= "
	}
	return fmt.Sprintf("tcp flags & (%s) %s%s", tcpFlags.bits([]byte{x.u8(9)}), op, tcpFlags.bits([]byte{x.u8(10)}))
}

func (m extension) multiportText() string {
	var all []string
	for i := 0; i < int(m.info.u8(1)) && i < 15; i++ {
		s := fmt.Sprint(m.info.u16(2 + 2*i))
		if m.rev >= 1 && m.info.u8(32+i) != 0 {
			i++
			s += fmt.Sprintf("-%d", m.info.u16(2+2*i))
		}
		all = append(all, s)
	}
	name := []string{"sport", "dport", "port"}[m.info.u8(0)%3]
	return fmt.Sprintf("th %s %s{ %s }", name, not(m.rev >= 1 && m.info.u8(47) != 0), strings.Join(all, ", "))
}

func xtStates(n uint32) string {
	var all []string
	for i, name := range []string{"invalid", "established", "related", "new", "", "", "snat", "dnat", "untracked"} {
		if n&(1<<i) != 0 && name != "" {
			all = append(all, name)
		}
	}
	return strings.Join(all, ",")
}

func (m extension) conntrackText() string {
	match, invert := m.info.u16(146), m.info.u16(148)
	mask := uint32(m.info.u8(150))
	if m.rev >= 2 {
		mask = uint32(m.info.u16(150))
	}
	s := ""
	if match&1 != 0 {
		s = "ct state " + not(invert&1 != 0) + xtStates(mask)
	}
	if match&^(1|1<<13) != 0 {
		s = joinWords(s, "xt match conntrack")
	}
	return s
}

func (m extension) ownerText() string {
	s := ""
	for _, o := range []struct {
		bit  uint8
		name string
		at   int
	}{{1, "meta skuid", 0}, {2, "meta skgid", 8}} {
		if m.info.u8(16)&o.bit == 0 {
			continue
		}
		v := fmt.Sprint(m.info.u32(o.at))
		if to := m.info.u32(o.at + 4); to != m.info.u32(o.at) {
			v += fmt.Sprintf("-%d", to)
		}
		s = joinWords(s, o.name+" "+not(m.info.u8(17)&o.bit != 0)+v)
	}
	if m.info.u8(16)&4 != 0 {
		s = joinWords(s, not(m.info.u8(17)&4 != 0)+"with a socket")
	}
	return s
}

func (m extension) addrTypeText() string {
	inv := m.info.u32(4)
	if m.rev == 0 {
		inv = m.info.u32(4)&1 | m.info.u32(8)&1<<1
	}
	one := func(name string, mask uint16, inverted bool) string {
		var all []string
		for i, t := range addressTypes {
			if mask&(1<<i) != 0 {
				all = append(all, t)
			}
		}
		if len(all) == 0 {
			return ""
		}
		return "fib " + name + " type " + not(inverted) + strings.Join(all, ",")
	}
	return joinWords(one("saddr", m.info.u16(0), inv&1 != 0), one("daddr", m.info.u16(2), inv&2 != 0))
}

func (m extension) ipRangeText(f Family) string {
	name := "ip"
	if f == IPv6 {
		name = "ip6"
	}
	s := ""
	if m.info.u8(64)&1 != 0 {
		s = fmt.Sprintf("%s saddr %s%s-%s", name, not(m.info.u8(64)&0x10 != 0), m.info.addr(0, f), m.info.addr(16, f))
	}
	if m.info.u8(64)&2 != 0 {
		s = joinWords(s, fmt.Sprintf("%s daddr %s%s-%s", name, not(m.info.u8(64)&0x20 != 0), m.info.addr(32, f), m.info.addr(48, f)))
	}
	return s
}

// text is the head of an entry of ip_tables.
func (h *legacyHead) text() string {
	s, inv := h.shape, h.b.u8(h.shape.invFlags)
	name := s.family.String()
	var all []string
	prefix := func(what string, at int, inverted bool) {
		a, _ := netip.AddrFromSlice(h.b.bytes(at, s.addrLen))
		if n, ok := prefixLen(h.b.bytes(at+2*s.addrLen, s.addrLen)); ok && n > 0 {
			all = append(all, fmt.Sprintf("%s %s %s%s", name, what, not(inverted), netip.PrefixFrom(a, n)))
		}
	}
	device := func(what string, at int, inverted bool) {
		d := zeroEnded(h.b.bytes(at, 16))
		if d == "" {
			return
		}
		if h.b.u8(at+32+len(d)) == 0 {
			d += "*"
		}
		all = append(all, fmt.Sprintf("%s %s%q", what, not(inverted), d))
	}
	prefix("saddr", 0, inv&invSrc != 0)
	prefix("daddr", s.addrLen, inv&invDst != 0)
	device("iifname", 4*s.addrLen, inv&invIn != 0)
	device("oifname", 4*s.addrLen+16, inv&invOut != 0)
	if p := h.b.u16(s.proto); p != 0 {
		all = append(all, "meta l4proto "+not(inv&invProto != 0)+protocolName(byte(p)))
	}
	return strings.Join(all, " ")
}
